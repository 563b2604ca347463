"""What shows through the transparent parts of a picture or a video."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeAlias

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
    if value is None or (isinstance(value, str) and value.lower() == 'none'):
        return None
    if value == 'white':  # the default, so that arguments can be made without Pillow
        return WHITE
    colour: Any = value
    if isinstance(value, str):
        from PIL import ImageColor  # describing the argument needs neither Pillow nor NumPy

        try:
            colour = ImageColor.getrgb(value)
        except ValueError as error:
            raise InputError(f"'background' must be {_ALLOWED}, found {shown(value)}.") from error
    if not _is_row(colour) or len(colour) != 3 or not all(map(_is_level, colour)):
        raise InputError(f"'background' must be {_ALLOWED}, found {shown(value)}.")
    red, green, blue = map(int, colour)
    return red, green, blue


def _is_row(value: Any) -> bool:
    if isinstance(value, Sequence):
        return True
    import numpy as np

    return isinstance(value, np.ndarray)


def _is_level(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) <= 255
