"""Prepares a picture for CLIP's image tower and as a frame of a video, exactly as the original implementations do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from PIL import Image


def crop_centre(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale an RGB ``image`` until it just covers ``width`` x ``height`` pixels, and cut out its centre.

    The original implementation rounds the scaled sizes down. So for many sizes a side becomes one pixel too short and
    what is cut out starts outside the picture: its first row or column is black. The networks were conditioned on such
    pictures, so we keep them.

    Enlarging with Pillow's box filter means picking the source pixel under each target pixel's centre. We do this only
    for what is cut out. The whole enlarged picture would take 500 MB for 2001x3 pixels.
    """
    from PIL import Image

    scale = min(image.width / width, image.height / height)
    full_width, full_height = round(image.width // scale), round(image.height // scale)
    left, top = (full_width - width) // 2, (full_height - height) // 2
    if scale >= 1:
        resized = image.resize((full_width, full_height), resample=Image.Resampling.BOX)
        return resized.crop((left, top, left + width, top + height))
    pixels = np.asarray(image)
    centre = np.zeros((height, width, 3), dtype=np.uint8)
    rows, inside_rows = _source_indices(top, height, full_height, image.height)
    columns, inside_columns = _source_indices(left, width, full_width, image.width)
    centre[np.ix_(inside_rows, inside_columns)] = pixels[np.ix_(rows, columns)]
    return Image.fromarray(centre)


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """The centre of an RGB ``image``, smoothly scaled to fill ``width`` x ``height`` pixels."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (width, height), method=Image.Resampling.BICUBIC)


def crop_square(image: Image.Image, side: int) -> Image.Image:
    """The central square of an RGB ``image``, whose shorter side is first scaled to about ``side`` pixels."""
    return crop_centre(image, side, side)


def _source_indices(start: int, count: int, enlarged: int, original: int) -> tuple[np.ndarray, np.ndarray]:
    """Source pixels of the targets ``start .. start + count`` that lie in the picture, and those targets' offsets."""
    targets = np.arange(start, start + count)
    inside = (targets >= 0) & (targets < enlarged)
    centres = (targets[inside] + 0.5) * (original / enlarged)
    return np.minimum(centres.astype(np.int64), original - 1), np.flatnonzero(inside)


def pad_to(image: Image.Image, width: int, height: int, colour: tuple[int, int, int]) -> Image.Image:
    """Scale the whole RGB ``image`` into ``width`` x ``height`` pixels and fill the rest with ``colour``."""
    from PIL import Image

    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    padded = Image.new('RGB', (width, height), colour)
    resized = image.resize(size, resample=Image.Resampling.BILINEAR)
    padded.paste(resized, ((width - size[0]) // 2, (height - size[1]) // 2))
    return padded


def central_square(image: Image.Image, side: int, cropped: int | None = None) -> Image.Image:
    """What the tower sees of an RGB ``image``: its central square, bilinearly scaled to ``side`` x ``side``.

    The square is cut out at ``cropped`` x ``cropped`` pixels; None means twice the side.
    """
    from PIL import Image

    return crop_square(image, cropped or 2 * side).resize((side, side), resample=Image.Resampling.BILINEAR)


def normalised(rgb: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """``(rgb - mean) / std`` of each channel, for ``[..., 3, H, W]`` in 0..1."""
    middle, spread = (torch.tensor(values, device=rgb.device).view(3, 1, 1) for values in (mean, std))
    return (rgb - middle) / spread


def pixel_values(
    image: Image.Image,
    side: int,
    fit: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    cropped: int | None = None,
) -> torch.Tensor:
    """The tower's input ``[1, 3, side, side]`` float32 for an RGB ``image``.

    Args:
        fit: ``'crop'`` or ``'keep'``, as in the original implementation (see :func:`central_square`), or
            ``'contain'``: the whole picture, padded with the mean colour, which is zero after normalisation.
        mean, std: mean and standard deviation of each channel, for values in [0, 1].
        cropped: see :func:`central_square`.
    """
    if fit == 'contain':
        square = pad_to(image, side, side, tuple(round(255 * value) for value in mean))  # type: ignore[arg-type]
    else:
        square = central_square(image, side, cropped)
    return normalised(_rgb(square), mean, std).unsqueeze(0)


def frame_values(
    image: Image.Image, height: int, width: int, fit: str, crop: Callable[[Image.Image, int, int], Image.Image]
) -> torch.Tensor:
    """An RGB ``image`` as a frame ``[1, 3, height, width]`` float32 in [-1, 1], the input of the autoencoder.

    Args:
        fit: ``'crop'`` or ``'keep'``, cut out by ``crop(image, width, height)``, or ``'contain'``: the whole picture on
            black.
        crop: :func:`crop_centre` as in the original implementation, or :func:`cover`.
    """
    frame = pad_to(image, width, height, (0, 0, 0)) if fit == 'contain' else crop(image, width, height)
    return _rgb(frame).sub_(0.5).div_(0.5).unsqueeze(0)


def _rgb(image: Image.Image) -> torch.Tensor:
    """Float32 ``[3, H, W]`` in 0..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)  # it may be large
