"""The primaries of ITU-T H.273, and matrices between them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

BT709, UNSPECIFIED, BT2020 = 1, 2, 9
_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
#: Code -> chromaticities x, y of red, green, blue and white (H.273, table 2).
CHROMATICITIES: Mapping[int, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
        4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),  # BT.470 M
        5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),  # BT.470 BG
        6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # SMPTE 170M
        7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # SMPTE 240M
        8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),  # film with illuminant C
        BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
        10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),  # SMPTE ST 428-1: CIE XYZ
        11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # SMPTE RP 431-2: DCI-P3
        12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # SMPTE EG 432-1: Display P3
        22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),  # EBU Tech 3213-E
    }
)
#: Primaries so close to BT.709 that players show them unchanged: those of standard-definition television.
LIKE_BT709 = frozenset({BT709, UNSPECIFIED, 5, 6, 7, 22})
# Cone responses of the Bradford transform, with which colours are adapted to another white.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@cache
def to_bt709(code: int) -> np.ndarray:
    """The matrix from linear RGB with the primaries of ``code`` to linear BT.709 RGB; white stays white."""
    return matrix_to_bt709(CHROMATICITIES[code])


def matrix_to_bt709(source: tuple[tuple[float, float], ...]) -> np.ndarray:
    """As :func:`to_bt709`, for any chromaticities x, y of red, green, blue and white."""
    target = CHROMATICITIES[BT709]
    matrix: np.ndarray = np.linalg.inv(_to_xyz(target)) @ _adaptation(source[3], target[3]) @ _to_xyz(source)
    return matrix


def luma_weights(code: int) -> tuple[float, float]:
    """The share of red and of blue in the luminance Y of RGB with the primaries of ``code``."""
    red, _, blue = _to_xyz(CHROMATICITIES[code])[1]
    return float(red), float(blue)


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB to CIE XYZ, with Y = 1 for white (SMPTE RP 177)."""
    columns = np.array([_xyz(point) for point in chromaticities[:3]]).T
    matrix: np.ndarray = columns * np.linalg.solve(columns, _xyz(chromaticities[3]) / chromaticities[3][1])
    return matrix


def _xyz(point: tuple[float, float]) -> np.ndarray:
    """X, Y and Z, adding up to one."""
    return np.array([point[0], point[1], 1 - point[0] - point[1]])


def _adaptation(source: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    if source == target:
        return np.eye(3)
    before, after = (_BRADFORD @ (_xyz(white) / white[1]) for white in (source, target))
    matrix: np.ndarray = np.linalg.inv(_BRADFORD) @ np.diag(after / before) @ _BRADFORD
    return matrix
