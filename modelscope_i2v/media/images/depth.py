"""Values of more than 8 bits as fractions between black and white.

The rules, for pictures and arrays of one or more channels:

* 16 bits without a sign: 0 is black and 65535 is white, so a value v becomes round(v / 257). A TIFF of fewer bits is
  scaled by its own largest value.
* 32-bit integers, or 16 bits with a sign: values that all lie in 0..255 are levels. Values that all lie in 0..65535 are
  16-bit values. Otherwise the smallest value becomes black and the largest one white.
* Floating point: values that all lie in 0..1, give or take 0.001, are fractions. Otherwise the smallest finite value
  becomes black and the largest one white. NaN becomes black. Infinite values become black or white.
* If all values are equal and none of these ranges holds them, the picture is mid grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from modelscope_i2v.media.images.bands import bands

#: How far a fraction may lie outside of 0..1; resampling overshoots a little.
RANGE_SLACK = 1e-3
SIXTEEN_BITS = 65535
#: Formats whose integers of more than 8 bits are 16-bit values by definition.
_SIXTEEN_BIT_FORMATS = ('PNG', 'PPM')


@dataclass(frozen=True)
class DeepGrey:
    """How to read the values of a picture of mode 'I', 'F' or 'I;16'.

    Attributes:
        black, white: the values that become black and white; black may be the larger one.
        unsigned: whether 32-bit integers have no sign.
    """

    black: float
    white: float
    unsigned: bool = False

    def fractions(self, image: Image.Image) -> np.ndarray:
        """Float64 ``[H, W]`` between 0 (black) and 1 (white)."""
        found = _values(image, self.unsigned)
        if self.white == self.black:
            return np.full(found.shape, 0.5)
        return np.nan_to_num(np.clip((found - self.black) / (self.white - self.black), 0, 1), nan=0)

    def levels(self, image: Image.Image) -> Image.Image:
        """8-bit grey, mode 'L'."""
        return Image.fromarray(np.rint(self.fractions(image) * 255).astype(np.uint8))

    def sixteen_bits(self, image: Image.Image) -> Image.Image:
        """16-bit grey, mode 'I;16'."""
        return Image.fromarray(np.rint(self.fractions(image) * SIXTEEN_BITS).astype(np.uint16))


def deep_grey(image: Image.Image) -> DeepGrey | None:
    """How to read a decoded picture of more than 8 bits; None for one of 8 bits.

    Args:
        image: the whole picture: its own smallest and largest value may matter.
    """
    if image.mode not in ('I', 'F') and not image.mode.startswith('I;16'):
        return None
    tags: Any = getattr(image, 'tag_v2', {})  # of a TIFF
    bits, numbers = tags.get(258, (16,))[0], tags.get(339, (1,))[0]  # BitsPerSample, SampleFormat
    unsigned = image.mode == 'I' and bits == 32 and numbers == 1 and bool(tags)
    if image.mode.startswith('I;16'):
        black, white = 0.0, float(2 ** min(bits, 16) - 1)
    elif image.mode == 'I' and image.format in _SIXTEEN_BIT_FORMATS:
        black, white = 0.0, float(SIXTEEN_BITS)
    else:
        black, white = _range(image, unsigned)
    if tags.get(262) == 0:  # PhotometricInterpretation: zero is white
        black, white = white, black
    return DeepGrey(black, white, unsigned)


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Uint8 values from uint8 or uint16 ones of any shape."""
    return values if values.dtype == np.uint8 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _range(image: Image.Image, unsigned: bool) -> tuple[float, float]:
    """Black and white of a picture of mode 'I' or 'F' whose format does not say them."""
    low, high = np.inf, -np.inf
    for _, band in bands(image):
        found = _values(band, unsigned)
        finite = found[np.isfinite(found)]
        low, high = float(finite.min(initial=low)), float(finite.max(initial=high))
    if image.mode == 'F':
        whole = low >= -RANGE_SLACK and high <= 1 + RANGE_SLACK
        return (0.0, 1.0) if whole or low > high else (low, high)
    for white in (255, SIXTEEN_BITS):
        if low >= 0 and high <= white:
            return 0.0, float(white)
    return low, high


def _values(image: Image.Image, unsigned: bool) -> np.ndarray:
    found = np.asarray(image)
    return (found.view(np.uint32) if unsigned else found).astype(np.float64)
