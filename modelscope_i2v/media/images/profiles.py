"""Colour profiles inside of pictures (ICC.1): the conversion of their colours to sRGB."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from modelscope_i2v.media.images.conversions import Conversion, by_table, grey_ramp

logger = logging.getLogger(__name__)

#: A profile that moves no level by more than this is sRGB; rounding alone moves them by one.
_SAME = 2
#: Colour spaces of a profile -> the modes whose values it describes, with the mode that the conversion takes.
_MODES = {
    'RGB': {'RGB': 'RGB', 'L': 'RGB', 'I;16': 'RGB'},
    'GRAY': {'L': 'L', 'I;16': 'I;16'},
    'CMYK': {'CMYK': 'CMYK'},
}
_BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


def profile_conversion(profile: bytes, mode: str, name: str) -> Conversion | None:
    """The conversion to sRGB that an ICC profile describes; None if it changes nothing, or cannot be used.

    The rendering intent is the perceptual one, as in ``ImageCms.profileToProfile``. Profiles of matrices, which most
    are, have no other.

    Args:
        profile: the content of the profile.
        mode: 'L', 'I;16', 'RGB' or 'CMYK', the mode of what will be converted.
        name: what a warning calls the picture. A profile that is broken, or for another kind of colours, is ignored.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(source.profile.xcolor_space).strip()
        if mode not in _MODES.get(space, {}):
            logger.warning(
                '%s has a colour profile for %s, but pixels of mode %s. The profile is ignored.', name, space, mode
            )
            return None
        return _conversion(source, mode, _MODES[space][mode])
    except _BROKEN as error:
        logger.warning('%s has a broken colour profile (%s). The profile is ignored.', name, error)
        return None


def _conversion(source: Any, mode: str, taken: str) -> Conversion | None:
    # Tables are made once. Without optimisation they are exact; with it, dark greys are off by several levels.
    flags = ImageCms.Flags.NONE if mode in ('RGB', 'CMYK') else ImageCms.Flags.NOOPTIMIZE
    transform = ImageCms.buildTransform(source, ImageCms.createProfile('sRGB'), taken, 'RGB', flags=flags)

    def convert(image: Image.Image) -> Image.Image:
        return ImageCms.applyTransform(image, transform)  # type: ignore[return-value]

    if mode == 'CMYK':
        return convert
    if mode == 'RGB':
        colours = _colours()
        return None if _is_same(np.asarray(convert(colours)), np.asarray(colours)) else convert
    table = _grey_table(convert, mode, taken)
    return None if _is_same(table, np.linspace(0, 255, len(table))[:, None]) else by_table(table)


def _grey_table(convert: Conversion, mode: str, taken: str) -> np.ndarray:
    """What grey of ``mode`` becomes: uint8 ``[values, 3]``."""
    if taken != 'RGB':
        return np.asarray(convert(grey_ramp(mode))).reshape(-1, 3)
    table = np.asarray(convert(grey_ramp('L').convert('RGB'))).reshape(-1, 3)
    if mode == 'L':
        return table
    # Little CMS takes RGB of 8 bits only: the values between are interpolated.
    between = np.arange(65536) / 257
    return np.stack([np.rint(np.interp(between, np.arange(256), row)) for row in table.T], axis=1).astype(np.uint8)


def _is_same(converted: np.ndarray, levels: np.ndarray) -> bool:
    return bool(np.abs(converted.astype(float) - levels).max() <= _SAME)


def _colours() -> Image.Image:
    """Every colour of 17 steps a channel."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing='ij'), axis=-1)
    return Image.fromarray(grid.reshape(17, -1, 3))
