"""Conversions of a picture's own colours to sRGB, from tables and matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image

#: Takes a picture of mode 'L', 'I;16' (0..65535), 'RGB' or 'CMYK', and returns sRGB: mode 'RGB'.
Conversion: TypeAlias = Callable[[Image.Image], Image.Image]


def grey_ramp(mode: str) -> Image.Image:
    """Every value of mode 'L' (16 x 16 pixels) or 'I;16' (256 x 256), in order."""
    side, dtype = (16, np.uint8) if mode == 'L' else (256, np.uint16)
    return Image.fromarray(np.arange(side * side, dtype=dtype).reshape(side, side))


def by_table(table: np.ndarray) -> Conversion:
    """The conversion of grey by a table, uint8 ``[values, 3]``, of as many values as the mode has."""

    def convert(image: Image.Image) -> Image.Image:
        return Image.fromarray(table[np.asarray(image)])

    return convert
