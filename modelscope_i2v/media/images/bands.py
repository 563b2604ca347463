"""A picture in bands of a few rows, so that what is done to each pixel needs memory for a few rows only."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

_BAND_PIXELS = 2**20


def bands(image: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """``(first row, band)`` from top to bottom. Each band is a copy; all but the last have ``multiple`` x n rows."""
    rows = multiple * max(1, _BAND_PIXELS // (multiple * image.width))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))
