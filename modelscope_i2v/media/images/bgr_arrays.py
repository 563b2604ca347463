"""Images that are already in memory: NumPy arrays and torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.tensors import check_floats

if TYPE_CHECKING:
    import torch

_RANGE_SLACK = 1e-3


def image_from_array(array: np.ndarray) -> Image.Image:
    """An 'RGB' image from uint8 pixels in ModelScope's (OpenCV's) channel order.

    Args:
        array: uint8 ``[H, W]`` or ``[H, W, 1]`` gray, ``[H, W, 3]`` **BGR**, or ``[H, W, 4]`` BGRA (alpha is dropped).

    Raises:
        InputError: the dtype or shape is wrong, or there are no pixels.
    """
    if array.dtype != np.uint8:
        raise InputError(
            f'An image array must be uint8 with values 0..255, found {array.dtype}. Convert it with '
            f'`(array * 255).round().astype(numpy.uint8)` if its values are in 0..1.'
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(
            f'An image array must have the shape [H, W], [H, W, 1], [H, W, 3] (BGR) or [H, W, 4] (BGRA), found '
            f'{list(array.shape)}. Move the channels to the end and give one image at a time.'
        )
    if array.size == 0:
        raise InputError(f'The image array has no pixels: its shape is {list(array.shape)}. It needs at least one.')
    if array.ndim == 2 or array.shape[2] == 1:
        return Image.fromarray(array.reshape(array.shape[:2]).copy()).convert('RGB')
    return Image.fromarray(np.ascontiguousarray(array[..., 2::-1]))


def image_from_tensor(tensor: torch.Tensor) -> Image.Image:
    """An 'RGB' image from a floating point tensor; a value x becomes round(255 x).

    Args:
        tensor: ``[C, H, W]`` or ``[1, C, H, W]``, values in 0..1, C = 1 (gray), 3 (RGB) or 4 (RGBA, alpha dropped).

    Raises:
        InputError: the dtype or shape is wrong, there are no pixels, or a value is NaN, infinite or more than 0.001
            outside 0..1.
    """
    import torch

    if tensor.is_floating_point():
        check_floats('An image tensor', tensor, InputError)
    pixels = tensor.detach()
    if not pixels.is_floating_point():
        raise InputError(
            f'An image tensor must be floating point with values 0..1, found {tensor.dtype}. Divide values of 0..255 '
            f'by 255.'
        )
    if pixels.ndim == 4 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4):
        raise InputError(
            f'An image tensor must have the shape [C, H, W] or [1, C, H, W] with C = 1, 3 or 4, found '
            f'{list(tensor.shape)}. Use `tensor.permute(2, 0, 1)` if the channels come last.'
        )
    if pixels.numel() == 0:
        raise InputError(f'The image tensor has no pixels: its shape is {list(tensor.shape)}. It needs at least one.')
    pixels = pixels[:3].to('cpu', torch.float32)
    if not bool(torch.isfinite(pixels).all()):
        raise InputError('The image tensor contains NaN or infinite values. Give finite values in 0..1.')
    low, high = float(pixels.min()), float(pixels.max())
    if low < -_RANGE_SLACK or high > 1 + _RANGE_SLACK:
        raise InputError(
            f'The values of an image tensor must lie in 0..1, found {low:g}..{high:g}. Use `tensor / 255` for 0..255 '
            f'or `tensor / 2 + 0.5` for -1..1.'
        )
    quantised = pixels.clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(quantised.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
