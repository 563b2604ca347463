"""What PNG says about colours beside a profile: the chunks cICP, sRGB, gAMA and cHRM."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from PIL import Image

from modelscope_i2v.media.colour import transfer
from modelscope_i2v.media.colour.primaries import BT709, CHROMATICITIES, matrix_to_bt709
from modelscope_i2v.media.images.conversions import Conversion, by_table, grey_ramp

logger = logging.getLogger(__name__)

_SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Values of cICP: no matrix, and 0 is black.
_RGB, _FULL_RANGE = 0, 1
#: How far numbers may be from those of sRGB and still mean sRGB: chromaticities, and gamma as a ratio.
_SAME_CHROMATICITY, _SAME_GAMMA = 0.003, 0.05
#: Steps of the table that encodes light.
_STEPS = 65535
_SRGB = CHROMATICITIES[BT709]
_Points: TypeAlias = tuple[tuple[float, float], ...]


def read_cicp(file: BinaryIO) -> tuple[int, int] | None:
    """Colour primaries and transfer curve of a PNG's chunk cICP, which Pillow skips; None without a valid one.

    The position is reset to the start.
    """
    try:
        if file.read(8) != _SIGNATURE:
            return None
        while len(head := file.read(8)) == 8 and head[4:] != b'IDAT':
            length = int.from_bytes(head[:4], 'big')
            if head[4:] == b'cICP':
                data = file.read(4)
                # RGB in full range is all that a PNG may be; anything else is a mistake of the writer.
                valid = length == 4 and data[2:] == bytes([_RGB, _FULL_RANGE])
                return (data[0], data[1]) if valid else None
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
    gamma, numbers = info.get('gamma'), info.get('chromaticity')
    if 'srgb' in info or (gamma is None and numbers is None):
        return None
    try:
        points = _SRGB if numbers is None else _points(numbers)
        if gamma is not None and not 0.01 <= gamma <= 10:
            raise ValueError(f'gamma {gamma:g}')
    except (ValueError, TypeError, IndexError) as error:
        logger.warning('%s has a broken colour chunk (%s). The chunk is ignored.', name, error)
        return None
    # Grey has no primaries.
    has_its_primaries = mode != 'RGB' or bool(np.abs(np.subtract(points, _SRGB)).max() <= _SAME_CHROMATICITY)
    if has_its_primaries and (gamma is None or abs(gamma * 2.2 - 1) < _SAME_GAMMA):
        return None

    def light_of(levels: np.ndarray) -> np.ndarray:
        if gamma is None:
            return transfer.to_light(levels, transfer.SRGB)
        light: np.ndarray = levels ** (1 / gamma)
        return light

    return _grey_conversion(light_of, mode) if mode != 'RGB' else _colour_conversion(light_of, matrix_to_bt709(points))


def _grey_conversion(light_of: Callable[[np.ndarray], np.ndarray], mode: str) -> Conversion:
    values = np.asarray(grey_ramp(mode)).reshape(-1)
    return by_table(np.stack([_levels(light_of(values / values[-1]))] * 3, axis=1))


def _colour_conversion(light_of: Callable[[np.ndarray], np.ndarray], matrix: np.ndarray) -> Conversion:
    light = light_of(np.arange(256) / 255).astype(np.float32)
    to_srgb = matrix.T.astype(np.float32)
    levels = _levels(np.linspace(0, 1, _STEPS + 1))

    def convert(image: Image.Image) -> Image.Image:
        linear = np.clip(light[np.asarray(image)] @ to_srgb, 0, 1)
        return Image.fromarray(levels[np.rint(linear * _STEPS).astype(np.int32)])

    return convert


def _levels(light: np.ndarray) -> np.ndarray:
    encoded: np.ndarray = np.rint(255 * transfer.from_light(light, transfer.SRGB)).astype(np.uint8)
    return encoded


def _points(numbers: Any) -> _Points:
    """Red, green, blue and white from Pillow's eight numbers: x and y of white, red, green and blue.

    Raises:
        ValueError: no colours can be made of them.
    """
    white, *primaries = ((float(numbers[i]), float(numbers[i + 1])) for i in range(0, 8, 2))
    area = np.linalg.det([[x, y, 1] for x, y in primaries])
    if abs(area) < 1e-4 or white[1] <= 0:
        raise ValueError('the chromaticities lie on a line')
    points = (*primaries, white)
    if not np.isfinite(matrix_to_bt709(points)).all():
        raise ValueError('the chromaticities make no colours')
    return points
