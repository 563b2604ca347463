"""What PNG says about colours beside a profile: the chunks cICP, sRGB, gAMA and cHRM."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from modelscope_i2v.media.images.chromaticities import SRGB, Chromaticities, gamma_is_srgb, rgb_conversion
from modelscope_i2v.media.images.conversions import Conversion, srgb_decoded

logger = logging.getLogger(__name__)

_SIGNATURE = b'\x89PNG\r\n\x1a\n'


def read_cicp(file: BinaryIO) -> tuple[int, int] | None:
    """Colour primaries and transfer characteristics of a PNG's chunk cICP, which Pillow skips; None without one.

    The position is reset to the start.
    """
    try:
        if file.read(8) != _SIGNATURE:
            return None
        while len(head := file.read(8)) == 8 and head[4:] != b'IDAT':
            length = int.from_bytes(head[:4], 'big')
            if head[4:] == b'cICP':
                data = file.read(4)
                return (data[0], data[1]) if len(data) == 4 else None
            file.seek(length + 4, 1)  # and the checksum
        return None
    finally:
        file.seek(0)


def gamma_conversion(info: Mapping[Any, Any], mode: str, name: str) -> Conversion | None:
    """The conversion to sRGB that gAMA and cHRM describe; None if they say sRGB, or nothing.

    Args:
        info: what Pillow read. An sRGB chunk wins over both others (PNG, third edition, 4.3). cHRM alone comes with the
            curve of sRGB, gAMA alone with its primaries.
        mode: 'L', 'I;16' or 'RGB', the mode of what will be converted.
        name: what a warning calls the picture.
    """
    if 'srgb' in info:
        return None
    gamma, points = info.get('gamma'), info.get('chromaticity')
    try:
        chromaticities = SRGB if points is None else _chromaticities(points)
        if gamma is not None and not 0.01 <= gamma <= 10:
            raise ValueError(f'gamma {gamma:g}')
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:
        logger.warning('%s has a broken colour chunk (%s). The chunk is ignored.', name, error)
        return None
    are_srgb = chromaticities.is_srgb() or mode != 'RGB'  # grey has no primaries
    if are_srgb and (gamma is None or gamma_is_srgb(gamma)):
        return None
    return rgb_conversion(chromaticities, srgb_decoded if gamma is None else lambda levels: levels ** (1 / gamma), mode)


def _chromaticities(points: Any) -> Chromaticities:
    """From Pillow's eight numbers: x and y of white, red, green and blue."""
    white, red, green, blue = ((float(points[i]), float(points[i + 1])) for i in range(0, 8, 2))
    return Chromaticities(white, red, green, blue)
