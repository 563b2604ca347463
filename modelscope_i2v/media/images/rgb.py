"""A decoded picture of any mode as upright sRGB, a band of rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ExifTags, Image

from modelscope_i2v.media.background import Background
from modelscope_i2v.media.blending import over
from modelscope_i2v.media.images.bands import bands
from modelscope_i2v.media.images.coded_colours import coded_conversion
from modelscope_i2v.media.images.conversions import Conversion
from modelscope_i2v.media.images.depth import DeepGrey, deep_grey
from modelscope_i2v.media.images.png_colour import gamma_conversion
from modelscope_i2v.media.images.profiles import profile_conversion
from modelscope_i2v.media.images.size import reduction
from modelscope_i2v.media.images.transparency import alpha_of, without_alpha

#: EXIF orientation -> how the picture is turned upright (CIPA DC-008, tag 274).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Orientations whose first row ends at the bottom or on the right, and those that swap width and height.
_FROM_THE_END, _SWAPPED = (3, 4, 6, 7), (5, 6, 7, 8)
#: The modes whose colours are not those of their red, green and blue.
_BASE_MODES = {'1': 'L', 'L': 'L', 'LA': 'L', 'La': 'L', 'CMYK': 'CMYK', 'LAB': 'LAB'}


def to_upright_rgb(
    image: Image.Image, name: str, *, orientation: int, background: Background, key: Any, codes: tuple[int, int] | None
) -> Image.Image:
    """A new image of mode 'RGB' without metadata. A large one is reduced: see :func:`reduction`.

    Args:
        image: a decoded picture.
        name: what warnings call it.
        orientation: its EXIF orientation, 1..8.
        key: its :func:`~modelscope_i2v.media.images.transparency.colour_key`.
        codes: colour primaries and transfer characteristics of a PNG's chunk cICP, which wins over a profile.
    """
    deep = deep_grey(image)
    mode = 'I;16' if deep else _BASE_MODES.get(image.mode, 'RGB')
    conversion = _conversion(image, mode, name, codes)
    factor = reduction(*image.size)
    width, height = -(-image.width // factor), -(-image.height // factor)
    upright = Image.new('RGB', (height, width) if orientation in _SWAPPED else (width, height))
    for top, band in bands(image, factor):
        alpha = None if background is None else alpha_of(band, key)
        rgb = _colours(band, deep, conversion)
        if alpha is not None and background is not None:
            rgb = Image.fromarray(over(np.asarray(rgb), alpha, background))
        if factor > 1:
            rgb = rgb.reduce(factor)
        start = top // factor
        if orientation in _FROM_THE_END:
            start = height - start - rgb.height
        if orientation in _TURNS:
            rgb = rgb.transpose(_TURNS[orientation])
        upright.paste(rgb, (start, 0) if orientation in _SWAPPED else (0, start))
    return upright


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) .. 8. From 5 on, width and height are swapped."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return int(found) if found in _TURNS else 1


def _colours(band: Image.Image, deep: DeepGrey | None, conversion: Conversion | None) -> Image.Image:
    """The pixels of a band as sRGB, without alpha."""
    if deep is not None:
        return deep.levels(band).convert('RGB') if conversion is None else conversion(deep.sixteen_bits(band))
    band = without_alpha(band)
    if conversion is None:
        return band.convert('RGB')
    base = _BASE_MODES.get(band.mode, 'RGB')
    return conversion(band if band.mode == base else band.convert(base))


def _conversion(image: Image.Image, mode: str, name: str, codes: tuple[int, int] | None) -> Conversion | None:
    """How the picture's own colours become sRGB; None if they are. The first that it says about them counts."""
    profile = image.info.get('icc_profile')
    in_heif = image.info.get('nclx_profile')
    has_codes = mode not in ('CMYK', 'LAB')
    if codes is not None and has_codes:
        return coded_conversion(*codes, mode, name)
    if mode == 'LAB':
        return None  # Pillow knows what these are
    if profile:
        return profile_conversion(profile, mode, name)
    if in_heif and has_codes:
        return coded_conversion(in_heif['color_primaries'], in_heif['transfer_characteristics'], mode, name)
    return gamma_conversion(image.info, mode, name) if has_codes else None
