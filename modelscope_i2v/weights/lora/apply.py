"""Low-rank adaptation (LoRA) of a UNet, added to its weights: generation costs no more than without it.

``W' = W + scale * alpha / rank * B A`` (Hu et al. 2022, arXiv 2106.09685, section 4.1). Needs no ``peft``: only
:mod:`modelscope_i2v.training.lora` does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from modelscope_i2v.checks import number
from modelscope_i2v.errors import CheckpointError, InputError, shown
from modelscope_i2v.runtime.fp8 import is_resting
from modelscope_i2v.tensors import float_problem
from modelscope_i2v.weights.load import list_problems
from modelscope_i2v.weights.lora.file import LoraDescription, read_lora_file, unet_parameters
from modelscope_i2v.weights.lora.layers import factor_key, lora_layers, lora_shapes

MAX_SCALE = 100
Module = TypeVar('Module', bound=nn.Module)


@dataclass(frozen=True)
class Lora:
    """The contents of a LoRA file: a description, and tensors by the keys of :func:`~.lora_layers.lora_shapes`."""

    description: LoraDescription
    tensors: Mapping[str, torch.Tensor]


def read_lora(unet: nn.Module, path: str | os.PathLike[str], *, key: str) -> Lora:
    """Read a LoRA file and check that it fits ``unet``, whose weights may still be on the meta device.

    Args:
        key: the :attr:`Stage.lora_key <modelscope_i2v.stage.Stage.lora_key>` of the stage that ``unet`` belongs to.

    Raises:
        CheckpointError: if the file is missing, damaged, not a LoRA, or for another stage or UNet; or for missing,
            unexpected, mis-shaped or unusable tensors, which are all reported at once; or if weights of ``unet`` rest
            in fp8.
    """
    origin = f"The LoRA file '{os.fspath(path)}'"
    if is_resting(unet):
        raise CheckpointError(
            f"{origin} cannot be added to weights that rest in fp8. Give 'lora' together with 'weights_dtype' when you "
            'load the model: it is then added before.'
        )
    description, tensors = read_lora_file(path)
    parameters = unet_parameters(unet)
    if description.task != key:
        raise CheckpointError(f'{origin} is for {description.task}, not for {key}. Use it with a model for that.')
    others = [
        f"'{name}' {description.unet[name]} instead of {value}"
        for name, value in parameters.items()
        if name in description.unet and description.unet[name] != value
    ]
    if others:
        raise CheckpointError(
            f'{origin} was trained on a different UNet: {", ".join(others)}. Use the model that it was trained on.'
        )
    shapes = lora_shapes(unet, description.layers, description.rank)
    problems = list_problems(
        {
            'missing': [key for key in shapes if key not in tensors],
            'unexpected': [key for key in tensors if key not in shapes],
            'with the wrong shape': [
                f'{key} is {list(tensors[key].shape)}, not {list(shape)}'
                for key, shape in shapes.items()
                if key in tensors and tensors[key].shape != shape
            ],
            'not floating-point': [key for key, tensor in tensors.items() if not tensor.is_floating_point()],
            'of an unusable type': [
                f'{key} is {float_problem(tensor)}'
                for key, tensor in tensors.items()
                if tensor.is_floating_point() and float_problem(tensor)
            ],
            'NaN or infinite': [
                key for key, tensor in tensors.items() if not float_problem(tensor) and not tensor.isfinite().all()
            ],
        }
    )
    if problems:
        raise CheckpointError(
            f'{origin} does not fit {type(unet).__name__} ({len(shapes)} tensors of rank {description.rank} for '
            f'{", ".join(description.layers)}). {problems} Save or download it again.'
        )
    return Lora(description, tensors)


def add_to_weights(unet: Module, lora: Lora, scale: float = 1.0) -> Module:
    """Add ``scale`` times ``lora``, which was read for ``unet``, to the weights and return ``unet``.

    Sums are computed in float32, whatever the weights are, and stored in new tensors: the old ones may be mapped from a
    file. A ``scale`` of 0 changes nothing.
    """
    if scale == 0:
        return unet
    factor = scale * lora.description.alpha / lora.description.rank
    for name, layer in lora_layers(unet, lora.description.layers).items():
        down, up = (lora.tensors[factor_key(name, letter)].float() for letter in 'AB')
        weight = layer.get_parameter('weight')
        change = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape).to(weight.device)
        changed = torch.add(weight.detach().float(), change, alpha=factor).to(weight.dtype)
        layer.weight = nn.Parameter(changed, requires_grad=weight.requires_grad)
    return unet


def apply_lora(unet: Module, path: str | os.PathLike[str], scale: float = 1.0, *, key: str) -> Module:
    """Read the LoRA file ``path``, add ``scale`` times its change to the weights of ``unet`` and return ``unet``.

    Args:
        key: see :func:`read_lora`.

    Raises:
        CheckpointError: as :func:`read_lora`; ``unet`` is then unchanged. InputError: for an impossible ``scale``.
    """
    check_scale(scale)
    return add_to_weights(unet, read_lora(unet, path, key=key), scale)


def check_scale(scale: Any) -> float:
    """``scale`` as a float within -100..100, or InputError; negative values reverse the change."""
    return number('lora_scale', scale, -MAX_SCALE, MAX_SCALE, error=InputError)


def check_lora(path: Any, scale: Any) -> float:
    """The strength of the LoRA file ``path``, 1 if ``scale`` is None.

    Raises:
        InputError: if ``path`` is neither a path nor None, for an impossible ``scale``, or for one without a file.
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise InputError(f"'lora' must be the path of a file or None, found {shown(path)} ({type(path).__name__}).")
    if scale is None:
        return 1.0
    checked = check_scale(scale)
    if path is None and checked != 1:
        raise InputError("'lora_scale' needs 'lora': there is no LoRA to scale. Name its file.")
    return checked
