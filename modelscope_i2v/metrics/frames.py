"""The frames that metrics take."""

from __future__ import annotations

import numpy as np
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.tensors import check_floats, kind_problem

Frames = torch.Tensor | np.ndarray

#: Weights of red, green and blue in luma (ITU-R BT.709, which this package also uses for the videos it writes).
_LUMA = (0.2126, 0.7152, 0.0722)


def as_frames(frames: Frames) -> torch.Tensor:
    """``frames`` as float32 RGB ``[F, 3, H, W]`` in 0..1, on their device.

    Args:
        frames: a tensor or array, floating point RGB ``[F, 3, H, W]`` in 0..1 or uint8 RGB ``[F, H, W, 3]``. It is
            not changed.

    Raises:
        InputError: for another type, shape or range, or if there are no frames.
    """
    if not isinstance(frames, (torch.Tensor, np.ndarray)):
        raise InputError(f'Frames must be a tensor or an array, found a {type(frames).__name__}.')
    tensor = frames if isinstance(frames, torch.Tensor) else _as_tensor(frames)
    floating = tensor.is_floating_point()
    if floating or kind_problem(tensor):
        check_floats('Frames in a tensor', tensor, InputError)
    axis = 1 if floating else 3
    if not (floating or tensor.dtype == torch.uint8) or tensor.ndim != 4 or tensor.shape[axis] != 3 or not len(tensor):
        raise InputError(
            'Frames must be floating point RGB [F, 3, H, W] in 0..1 or uint8 RGB [F, H, W, 3], one or more, found '
            f'{str(tensor.dtype).removeprefix("torch.")} {list(tensor.shape)}.'
        )
    if not tensor.numel():
        raise InputError(f'Frames must have pixels, found the shape {list(tensor.shape)}.')
    if not floating:
        return tensor.permute(0, 3, 1, 2).float().div(255)
    low, high = float(tensor.min()), float(tensor.max())
    if not (low >= 0 and high <= 1):  # also true for NaN
        raise InputError(f'Frames must lie in 0..1, found values from {low:g} to {high:g}. Clamp or rescale them.')
    return tensor.detach().float()


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    if array.dtype.name not in ('uint8', 'float16', 'float32', 'float64'):
        raise InputError(f'Frames must be floating point or uint8, found {array.dtype}. Convert them.')
    # torch takes neither negative strides nor another byte order.
    return torch.from_numpy(np.ascontiguousarray(array, array.dtype.newbyteorder('=')))


def luma(frames: torch.Tensor) -> torch.Tensor:
    """RGB ``[F, 3, H, W]`` -> brightness ``[F, H, W]`` in 0..1: ``0.2126 R + 0.7152 G + 0.0722 B``, with gamma."""
    red, green, blue = frames.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).clamp(0, 1)


def at_least(frames: torch.Tensor, count: int, measure: str) -> torch.Tensor:
    """``frames``; raises InputError if there are fewer than ``count``, naming the ``measure``."""
    if len(frames) < count:
        raise InputError(f'{measure} needs at least {count} frames, found {len(frames)}. Give a longer clip.')
    return frames
