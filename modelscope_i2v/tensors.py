"""Which tensors from outside can be used: dense ones of ordinary numbers that hold data."""

from __future__ import annotations

import torch

from modelscope_i2v.errors import ModelScopeI2VError

#: The element types that every operation of torch supports.
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def kind_problem(tensor: torch.Tensor) -> str | None:
    """What keeps ``tensor`` from being used, whatever its element type; None if nothing does."""
    if tensor.is_nested:
        return 'nested'
    if tensor.layout is not torch.strided:
        return 'sparse'
    if tensor.is_quantized:
        return 'quantised'
    # Fake tensors claim another device than their storage's.
    if tensor.is_meta or tensor.untyped_storage().device.type == 'meta':
        return 'meta'
    return None


def float_problem(tensor: torch.Tensor) -> str | None:
    """What keeps ``tensor`` from being used as floating-point numbers; None if nothing does."""
    if tensor.dtype not in FLOATS:
        return str(tensor.dtype).removeprefix('torch.')
    return kind_problem(tensor)


def check_floats(name: str, tensor: torch.Tensor, error: type[ModelScopeI2VError]) -> None:
    """Raise ``error``, which calls it ``name``, unless ``tensor`` is a dense floating-point tensor with data."""
    problem = float_problem(tensor)
    if problem:
        raise error(
            f'{name} must be a dense float16, bfloat16, float32 or float64 tensor with data, found a {problem} tensor.'
        )
