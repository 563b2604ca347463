"""What shows through the transparent parts of a picture or a video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from modelscope_i2v.errors import InputError, shown

#: Red, green and blue, 0..255; None drops transparency, so that the colours hidden under it appear.
Background: TypeAlias = tuple[int, int, int] | None

WHITE = (255, 255, 255)
_ALLOWED = "a colour name such as 'white', a hex value such as '#ffffff', three whole numbers from 0 to 255, or None"


def checked_background(value: Any) -> Background:
    """A colour as three numbers, or None to drop transparency; ``'none'`` stands for None on the command line.

    Raises:
        InputError: ``value`` is no opaque colour.
    """
    from PIL import ImageColor

    if value is None or (isinstance(value, str) and value.lower() == 'none'):
        return None
    colour: Any = value
    if isinstance(value, str):
        try:
            colour = ImageColor.getrgb(value)
        except ValueError as error:
            raise InputError(f"'background' must be {_ALLOWED}, found {shown(value)}.") from error
    if not isinstance(colour, Sequence) or len(colour) != 3 or not all(map(_is_level, colour)):
        raise InputError(f"'background' must be {_ALLOWED}, found {shown(value)}.")
    red, green, blue = map(int, colour)
    return red, green, blue


def over(pixels: np.ndarray, alpha: np.ndarray, background: tuple[int, int, int]) -> np.ndarray:
    """``pixels`` (uint8 RGB ``[H, W, 3]``) over a background, rounded to the nearest level.

    Blends the encoded levels, as browsers do. Works row by row of a few, so that large pictures need little memory.

    Args:
        alpha: uint8 ``[H, W]``; 255 is opaque.
    """
    if alpha.min(initial=255) == 255:
        return pixels
    behind = np.array(background, np.uint32)
    blended = np.empty_like(pixels)
    rows = max(1, 2**20 // max(1, pixels.shape[1]))
    for start in range(0, len(pixels), rows):
        part = slice(start, start + rows)
        weight = alpha[part, :, None].astype(np.uint32)
        blended[part] = (pixels[part] * weight + behind * (255 - weight) + 127) // 255
    return blended


def _is_level(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= int(value) <= 255
