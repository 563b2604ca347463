"""Prepares a picture as the square that CLIP's image tower sees, exactly as the original implementation does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from PIL import Image


def crop_square(image: Image.Image, side: int) -> Image.Image:
    """Scale the shorter side of an RGB ``image`` to about ``side`` pixels and cut out the central square.

    The original implementation rounds the scaled sizes down. So for many sizes the shorter side becomes ``side - 1``
    and the square starts outside the picture: its first row or column is black. The networks were conditioned on such
    squares, so we keep them.

    Enlarging with Pillow's box filter means picking the source pixel under each target pixel's centre. We do this only
    for the square. The whole enlarged picture would take 500 MB for 2001x3 pixels.
    """
    from PIL import Image

    scale = min(image.width / side, image.height / side)
    width, height = round(image.width // scale), round(image.height // scale)
    left, top = (width - side) // 2, (height - side) // 2
    if scale >= 1:
        resized = image.resize((width, height), resample=Image.Resampling.BOX)
        return resized.crop((left, top, left + side, top + side))
    pixels = np.asarray(image)
    square = np.zeros((side, side, 3), dtype=np.uint8)
    rows, inside_rows = _source_indices(top, side, height, image.height)
    columns, inside_columns = _source_indices(left, side, width, image.width)
    square[np.ix_(inside_rows, inside_columns)] = pixels[np.ix_(rows, columns)]
    return Image.fromarray(square)


def _source_indices(start: int, count: int, enlarged: int, original: int) -> tuple[np.ndarray, np.ndarray]:
    """Source pixels of the targets ``start .. start + count`` that lie in the picture, and those targets' offsets."""
    targets = np.arange(start, start + count)
    inside = (targets >= 0) & (targets < enlarged)
    centres = (targets[inside] + 0.5) * (original / enlarged)
    return np.minimum(centres.astype(np.int64), original - 1), np.flatnonzero(inside)


def pad_square(image: Image.Image, side: int, colour: tuple[int, int, int]) -> Image.Image:
    """Scale the whole RGB ``image`` into a ``side`` x ``side`` square and fill the rest with ``colour``."""
    from PIL import Image

    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    square = Image.new('RGB', (side, side), colour)
    resized = image.resize(size, resample=Image.Resampling.BILINEAR)
    square.paste(resized, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square


def central_square(image: Image.Image, side: int) -> Image.Image:
    """What the tower sees of an RGB ``image``: a square of twice the side, bilinearly scaled to ``side`` x ``side``."""
    from PIL import Image

    return crop_square(image, 2 * side).resize((side, side), resample=Image.Resampling.BILINEAR)


def normalised(rgb: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """``(rgb - mean) / std`` of each channel, for ``[..., 3, H, W]`` in 0..1."""
    middle, spread = (torch.tensor(values, device=rgb.device).view(3, 1, 1) for values in (mean, std))
    return (rgb - middle) / spread


def pixel_values(
    image: Image.Image, side: int, fit: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """The tower's input ``[1, 3, side, side]`` float32 for an RGB ``image``.

    Args:
        fit: ``'crop'``, as in the original implementation (see :func:`central_square`), or ``'contain'``: the whole
            picture, padded with the mean colour, which is zero after normalisation.
        mean, std: mean and standard deviation of each channel, for values in [0, 1].
    """
    if fit == 'contain':
        square = pad_square(image, side, tuple(round(255 * value) for value in mean))  # type: ignore[arg-type]
    else:
        square = central_square(image, side)
    rgb = torch.from_numpy(np.array(square)).permute(2, 0, 1).float().div(255)
    return normalised(rgb, mean, std).unsqueeze(0)
