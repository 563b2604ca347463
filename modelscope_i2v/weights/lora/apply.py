"""Low-rank adaptation (LoRA) of a UNet by adding it to the weights: generation costs nothing more than without.

``W' = W + scale * alpha / rank * B A`` (Hu et al. 2022, arXiv 2106.09685, section 4.1). Needs no ``peft``, which only
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
from modelscope_i2v.errors import CheckpointError, InputError
from modelscope_i2v.weights.load import list_problems
from modelscope_i2v.weights.lora.file import LoraDescription, read_lora_file, unet_parameters
from modelscope_i2v.weights.lora.layers import factor_key, lora_layers, lora_shapes

MAX_SCALE = 100
Module = TypeVar('Module', bound=nn.Module)


@dataclass(frozen=True)
class Lora:
    """What a LoRA file holds: a description, and tensors by the keys of :func:`~.lora_layers.lora_shapes`."""

    description: LoraDescription
    tensors: Mapping[str, torch.Tensor]


def read_lora(unet: nn.Module, path: str | os.PathLike[str], *, key: str) -> Lora:
    """Read a LoRA file and check that it fits ``unet``, whose weights may still be on the meta device.

    Args:
        key: of the stage that ``unet`` belongs to (:attr:`Stage.lora_key <modelscope_i2v.stage.Stage.lora_key>`).

    Raises:
        CheckpointError: if the file is missing, damaged, no LoRA, of the other stage or of another UNet, or for
            missing, unexpected, mis-shaped or unusable tensors, all of them named at once.
    """
    origin = f"The LoRA file '{os.fspath(path)}'"
    description, tensors = read_lora_file(path)
    parameters = unet_parameters(unet)
    if description.task != key:
        raise CheckpointError(f'{origin} is for {description.task}, not for {key}. Give it to a model for that.')
    others = [
        f"'{name}' {description.unet[name]} instead of {value}"
        for name, value in parameters.items()
        if name in description.unet and description.unet[name] != value
    ]
    if others:
        raise CheckpointError(
            f'{origin} was trained on another UNet: {", ".join(others)}. Give the model that it was trained on.'
        )
    shapes = lora_shapes(unet, description.layers, description.rank)
    problems = list_problems(
        {
            'missing': [key for key in shapes if key not in tensors],
            'unexpected': [key for key in tensors if key not in shapes],
            'of another shape': [
                f'{key} is {list(tensors[key].shape)}, not {list(shape)}'
                for key, shape in shapes.items()
                if key in tensors and tensors[key].shape != shape
            ],
            'not of floating point': [key for key, tensor in tensors.items() if not tensor.is_floating_point()],
            'NaN or infinite': [key for key, tensor in tensors.items() if not tensor.isfinite().all()],
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

    Sums are float32 whatever the weights are, and new tensors: the old ones may be a mapped file. A ``scale`` of 0
    leaves everything as it is.
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
    """``scale`` as a float within -100..100, or InputError; negative ones turn the change around."""
    return number('lora_scale', scale, -MAX_SCALE, MAX_SCALE, error=InputError)
