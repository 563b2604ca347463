"""Images that are already in memory: NumPy arrays and torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background
from modelscope_i2v.media.blending import over
from modelscope_i2v.media.images.depth import RANGE_SLACK, eight_bits
from modelscope_i2v.tensors import check_floats, kind_problem

if TYPE_CHECKING:
    import torch


def image_from_array(array: np.ndarray, background: Background) -> Image.Image:
    """An 'RGB' image from pixels in ModelScope's (OpenCV's) channel order.

    Args:
        array: uint8 or uint16 (0..65535) ``[H, W]`` or ``[H, W, 1]`` gray, ``[H, W, 3]`` **BGR**, or ``[H, W, 4]``
            BGRA.
        background: what shows through where alpha is not full; None drops alpha.

    Raises:
        InputError: the dtype or shape is wrong, or there are no pixels.
    """
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f'An image array must be uint8 with values 0..255 or uint16 with values 0..65535, found {array.dtype}. '
            f'Convert it with `(array * 255).round().astype(numpy.uint8)` if its values are in 0..1.'
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(
            f'An image array must have the shape [H, W], [H, W, 1], [H, W, 3] (BGR) or [H, W, 4] (BGRA), found '
            f'{list(array.shape)}. Move the channels to the end and give one image at a time.'
        )
    if array.size == 0:
        raise InputError(f'The image array has no pixels: its shape is {list(array.shape)}. It needs at least one.')
    pixels = eight_bits(array.reshape(*array.shape[:2], -1))
    return _image(pixels[..., 2::-1] if pixels.shape[2] > 1 else pixels, pixels[..., 3:], background)


def image_from_tensor(tensor: torch.Tensor, background: Background) -> Image.Image:
    """An 'RGB' image from a tensor; a floating point value x becomes round(255 x).

    Args:
        tensor: ``[C, H, W]`` or ``[1, C, H, W]``, C = 1 (gray), 3 (RGB) or 4 (RGBA): floating point with values in
            0..1, uint8, or uint16 (0..65535).
        background: what shows through where alpha is not full; None drops alpha.

    Raises:
        InputError: the dtype or shape is wrong, there are no pixels, or a value is NaN, infinite or more than 0.001
            outside 0..1.
    """
    import torch

    if tensor.is_floating_point() or kind_problem(tensor):
        check_floats('An image tensor', tensor, InputError)
    pixels = tensor.detach()
    if not pixels.is_floating_point() and pixels.dtype not in (torch.uint8, torch.uint16):
        raise InputError(
            f'An image tensor must be floating point with values 0..1, uint8 or uint16, found {tensor.dtype}. Use '
            f'`tensor.to(torch.uint8)` for values of 0..255.'
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
    if pixels.is_floating_point():
        pixels = _quantised(pixels)
    channels_last = eight_bits(pixels.cpu().permute(1, 2, 0).numpy())
    return _image(channels_last[..., :3], channels_last[..., 3:], background)


def _quantised(pixels: torch.Tensor) -> torch.Tensor:
    """Floats 0..1 as uint8."""
    import torch

    pixels = pixels.to('cpu', torch.float32)
    if not bool(torch.isfinite(pixels).all()):
        raise InputError('The image tensor contains NaN or infinite values. Give finite values in 0..1.')
    low, high = float(pixels.min()), float(pixels.max())
    if low < -RANGE_SLACK or high > 1 + RANGE_SLACK:
        raise InputError(
            f'The values of an image tensor must lie in 0..1, found {low:g}..{high:g}. Use `tensor / 255` for 0..255 '
            f'or `tensor / 2 + 0.5` for -1..1.'
        )
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8)


def _image(colours: np.ndarray, alpha: np.ndarray, background: Background) -> Image.Image:
    """From uint8 RGB or gray ``[H, W, C]`` and alpha ``[H, W, 0 or 1]``; it shares no memory with either."""
    if alpha.shape[2] and background is not None:
        colours = over(colours, alpha[..., 0], background)
    return Image.fromarray(np.broadcast_to(colours, (*colours.shape[:2], 3)).copy())
