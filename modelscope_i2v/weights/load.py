"""Load weights into modules: strict about names and shapes, with no random initialisation and no second copy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeVar

import torch
from torch import nn

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.weights.diffusers_names import from_diffusers, has_their_names
from modelscope_i2v.weights.key_maps import key_map
from modelscope_i2v.weights.owners import owners
from modelscope_i2v.weights.reader import open_state_dict

Module = TypeVar('Module', bound=nn.Module)
Source = str | os.PathLike[str] | Mapping[str, torch.Tensor]

#: How many names an error lists before it only counts them.
_LISTED = 8


def load_weights(module: Module, source: Source, *, dtype: torch.dtype | None = None) -> Module:
    """Load a checkpoint into ``module`` by assignment and return it.

    The file's tensors become the module's parameters (memory-mapped where the format allows), so nothing is copied
    unless a dtype or a device has to change. A module that was built on the meta device ends up on the CPU.

    Args:
        module: one of this package's networks.
        source: a path (``.pth``, ``.ckpt``, ``.bin``, ``.safetensors``) or a state dict, with the key names,
            wrappers and prefixes of the original implementation, with those of diffusers and transformers, or with
            this package's own.
        dtype: the dtype of floating-point weights, whatever the file holds; None keeps the module's.

    Raises:
        CheckpointError: if the file is missing, damaged or unsafe, or for missing, unexpected or mis-shaped keys, which
            are all reported at once; the module is then unchanged. Also for a buffer that no checkpoint holds and that
            cannot be rebuilt.
    """
    origin = f"'{os.fspath(source)}'" if isinstance(source, (str, os.PathLike)) else 'the given state dict'
    opened = open_state_dict(source)
    expected = module.state_dict()
    if has_their_names(module, opened.tensors):
        # Joining their parts takes their numbers, which are not there before names and shapes are known to fit.
        shapes = {key: tensor.to('meta') for key, tensor in opened.tensors.items()}
        _fitting(module, from_diffusers(module, shapes), origin)
        opened.fill(None)
        mapped = _fitting(module, from_diffusers(module, opened.tensors), origin)
    else:
        mapped = _fitting(module, opened.tensors, origin)
        opened.fill([mapped[key] for key in expected])
    module.load_state_dict({key: _cast(mapped[key], expected[key], dtype) for key in expected}, assign=True)
    _rebuild_buffers(module)
    return module


def _fitting(module: nn.Module, tensors: Mapping[str, torch.Tensor], origin: str) -> dict[str, torch.Tensor]:
    """``tensors`` by the names in ``module``; raises CheckpointError unless they are exactly its weights."""
    to_own = key_map(module, tensors)
    mapped: dict[str, torch.Tensor] = {}
    file_keys: dict[str, str] = {}
    for key, tensor in tensors.items():
        own_key = to_own(key)
        if own_key in file_keys:
            raise CheckpointError(
                f"The weights in {origin} hold the same tensor twice: '{file_keys[own_key]}' and '{key}'. Remove one."
            )
        if own_key is not None:
            mapped[own_key], file_keys[own_key] = tensor, key
    problems = _problems(module, mapped, file_keys)
    if problems:
        _refuse(module, tensors, mapped, problems, origin)
    return mapped


def _cast(tensor: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    device = torch.device('cpu') if expected.is_meta else expected.device
    wanted = dtype if dtype is not None and expected.is_floating_point() else expected.dtype
    return tensor.to(device=device, dtype=wanted)


def _problems(module: nn.Module, mapped: Mapping[str, torch.Tensor], file_keys: Mapping[str, str]) -> str:
    """What does not fit, as sentences; empty if everything does."""
    expected = module.state_dict()
    missing = [key for key in expected if key not in mapped]
    unexpected = [file_keys[key] for key in mapped if key not in expected]
    shapes = [
        f'{file_keys[key]} is {list(mapped[key].shape)}, not {list(tensor.shape)}'
        for key, tensor in expected.items()
        if key in mapped and mapped[key].shape != tensor.shape
    ]
    kinds = [
        f'{file_keys[key]} is {mapped[key].dtype}'
        for key, tensor in expected.items()
        if key in mapped and mapped[key].is_floating_point() != tensor.is_floating_point()
    ]
    return list_problems(
        {'missing': missing, 'unexpected': unexpected, 'with the wrong shape': shapes, 'not floating-point': kinds}
    )


def _refuse(
    module: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    mapped: Mapping[str, torch.Tensor],
    problems: str,
    origin: str,
) -> NoReturn:
    """Raise CheckpointError for weights that do not fit, with what can be said about where they belong."""
    expected = module.state_dict()
    remedy = (
        "Check that the file is the one for this network and this stage, and that the network's sizes in "
        'configuration.json are the ones that it was trained with.'
    )
    parts = dict.fromkeys(key.partition('.')[0] for key in expected)
    absent = [part for part in parts if part not in {key.partition('.')[0] for key in mapped}]
    if absent and len(absent) < len(parts):
        remedy = f'The file has nothing for {" and ".join(map(repr, absent))} of this network. {remedy}'
    others = [repr(stage.model) for stage in owners(module, tensors.keys())]
    if others:
        remedy = (
            f'They belong to a model of type {" or ".join(others)}. Take the file for this network and this stage, or '
            'load a model of that type.'
        )
    raise CheckpointError(
        f'The weights in {origin} do not fit {type(module).__name__} ({len(expected)} tensors). {problems} {remedy}'
    )


def list_problems(problems: Mapping[str, Sequence[str]]) -> str:
    """``'2 missing: a, b. 1 unexpected: c.'`` from the names for each kind of problem; empty if there are none."""
    return ' '.join(
        f'{len(names)} {what}: {", ".join(names[:_LISTED])}{", ..." if len(names) > _LISTED else ""}.'
        for what, names in problems.items()
        if names
    )


def _rebuild_buffers(module: nn.Module) -> None:
    """Give real values to buffers that no checkpoint holds (open_clip's causal attention mask)."""
    for name, part in module.named_modules():
        for buffer_name, buffer in list(part.named_buffers(recurse=False)):
            if not buffer.is_meta:
                continue
            build = getattr(part, 'build_causal_mask', None)
            if buffer_name != 'attn_mask' or build is None:
                raise CheckpointError(
                    f'{type(module).__name__} has a buffer that no checkpoint holds and that cannot be rebuilt: '
                    f'{name}.{buffer_name}. Choose a CLIP architecture without it.'
                )
            part.register_buffer(buffer_name, build(), persistent=False)
