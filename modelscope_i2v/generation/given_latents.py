"""The check of the latents that a call starts from."""

from __future__ import annotations

from typing import Any

import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.tensors import check_floats, kind_problem


def checked_latents(latents: Any) -> torch.Tensor:
    """``latents`` as float32 on the CPU.

    Raises:
        InputError: unless they are a dense, finite float tensor with five dimensions.
    """
    if not isinstance(latents, torch.Tensor):
        raise InputError(f"'latents' must be a float tensor [1, 4, F, h, w], found {type(latents).__name__}.")
    if latents.is_floating_point() or kind_problem(latents):
        check_floats("'latents'", latents, InputError)
    if not latents.is_floating_point() or latents.ndim != 5:
        raise InputError(f"'latents' must be a float tensor [1, 4, F, h, w], found {list(latents.shape)}.")
    if not torch.isfinite(latents).all():
        raise InputError("'latents' holds NaN or infinite values.")
    return latents.detach().to('cpu', torch.float32)
