"""RGB of any primaries and any curve to sRGB: what PNG and video standards say in a few numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from modelscope_i2v.media.images.conversions import Conversion, by_table, grey_ramp, srgb_encoded

#: How far numbers may be from those of sRGB and still mean sRGB: chromaticities, and gamma as a ratio.
_SAME_CHROMATICITY, _SAME_GAMMA = 0.003, 0.05
_ENCODING_STEPS = 65535
# CIE XYZ to the responses of the cones, for adaptation to another white (Bradford; ICC.1:2022, annex E).
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Chromaticities:
    """CIE 1931 x and y of white, red, green and blue.

    Raises:
        ValueError: no colours can be made of them.
    """

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]

    def __post_init__(self) -> None:
        if any(y <= 0 for _, y in (self.white, self.red, self.green, self.blue)):
            raise ValueError('a chromaticity has y = 0')
        if abs(np.linalg.det(self._columns())) < 1e-6 or not np.isfinite(self.to_xyz()).all():
            raise ValueError('the primaries lie on a line')

    def to_xyz(self) -> np.ndarray:
        """The matrix from linear RGB to CIE XYZ, where white has Y = 1 (SMPTE RP 177)."""
        primaries = self._columns()
        scaled: np.ndarray = primaries * np.linalg.solve(primaries, _xyz(self.white))
        return scaled

    def to_srgb(self) -> np.ndarray:
        """The matrix to linear sRGB. White stays white."""
        here, there = _CONES @ _xyz(self.white), _CONES @ _xyz(SRGB.white)
        adapted = np.linalg.inv(_CONES) @ np.diag(there / here) @ _CONES
        matrix: np.ndarray = np.linalg.inv(SRGB.to_xyz()) @ adapted @ self.to_xyz()
        return matrix

    def is_srgb(self) -> bool:
        """Whether these are those of sRGB, as files write them: rounded."""
        return bool(np.abs(np.subtract(self._points(), SRGB._points())).max() <= _SAME_CHROMATICITY)

    def _points(self) -> tuple[tuple[float, float], ...]:
        return self.white, self.red, self.green, self.blue

    def _columns(self) -> np.ndarray:
        return np.stack([_xyz(point) for point in (self.red, self.green, self.blue)], axis=1)


def _xyz(point: tuple[float, float]) -> np.ndarray:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])


_D65 = (0.3127, 0.3290)
#: IEC 61966-2-1, which has those of BT.709.
SRGB = Chromaticities(_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))


def gamma_is_srgb(gamma: float) -> bool:
    """Whether an exponent of encoding, about 1 / 2.2, stands for the curve of sRGB."""
    return abs(gamma * 2.2 - 1) < _SAME_GAMMA


def rgb_conversion(
    chromaticities: Chromaticities, decoded: Callable[[np.ndarray], np.ndarray], mode: str
) -> Conversion:
    """The conversion to sRGB.

    Args:
        decoded: levels 0..1 -> light 0..1.
        mode: 'L', 'I;16' or 'RGB', the mode of what will be converted. Grey stays grey, whatever the primaries.
    """
    if mode != 'RGB':
        values = np.asarray(grey_ramp(mode)).reshape(-1)
        grey = np.rint(255 * srgb_encoded(decoded(values / values[-1]))).astype(np.uint8)
        return by_table(np.stack([grey] * 3, axis=1))
    light = decoded(np.arange(256) / 255).astype(np.float32)
    matrix = chromaticities.to_srgb().astype(np.float32)
    encoding = np.rint(255 * srgb_encoded(np.linspace(0, 1, _ENCODING_STEPS + 1))).astype(np.uint8)

    def convert(image: Image.Image) -> Image.Image:
        linear = np.clip(light[np.asarray(image)] @ matrix.T, 0, 1)
        return Image.fromarray(encoding[np.rint(linear * _ENCODING_STEPS).astype(np.int32)])

    return convert
