"""The matrix coefficients of ITU-T H.273: from luma and colour differences to RGB."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from modelscope_i2v.media.colour.primaries import luma_weights

IDENTITY, BT709, UNSPECIFIED, BT601, YCGCO, BT2020, DERIVED, ICTCP = 0, 1, 2, 5, 8, 9, 12, 14
#: Code -> the share of red and of blue in luma (H.273, table 4).
LUMA_WEIGHTS: Mapping[int, tuple[float, float]] = MappingProxyType(
    {
        BT709: (0.2126, 0.0722),
        4: (0.30, 0.11),
        BT601: (0.299, 0.114),
        6: (0.299, 0.114),
        7: (0.212, 0.087),
        BT2020: (0.2627, 0.0593),
    }
)
#: Codes that say nothing about luma and colour differences: that of RGB, and a reserved one.
MEANINGLESS = (IDENTITY, 3)
#: Matrices that FFmpeg converts itself.
KNOWN_TO_FFMPEG = frozenset({IDENTITY, UNSPECIFIED, *LUMA_WEIGHTS})
CONVERTED = (YCGCO, DERIVED, ICTCP)
# From ICtCp to the cone responses L'M'S' (the inverses of the matrices in BT.2100, table 7), by transfer curve.
_LMS_FROM_ICTCP = {
    16: np.linalg.inv(np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096),
    18: np.linalg.inv(np.array([[2048, 2048, 0], [3625, -7465, 3840], [9500, -9212, -288]]) / 4096),
}
#: From linear L, M, S to linear BT.2020 RGB (the inverse of the matrix in BT.2100, table 7).
RGB_FROM_LMS = np.linalg.inv(np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096)


def decoding_matrix(code: int, primaries: int, transfer: int) -> np.ndarray:
    """The matrix from ``(Y, Cb, Cr)``, 0..1 and -0.5..0.5, to encoded RGB (for ICtCp: to L'M'S')."""
    if code == IDENTITY:  # the planes are G, B and R
        return np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    if code == YCGCO:
        return np.array([[1.0, -1, 1], [1, 1, 0], [1, -1, -1]])
    if code == ICTCP:
        return _LMS_FROM_ICTCP[transfer]
    red, blue = luma_weights(primaries) if code == DERIVED else LUMA_WEIGHTS[code]
    green = 1 - red - blue
    from_blue, from_red = 2 * (1 - blue), 2 * (1 - red)
    return np.array([[1, 0, from_red], [1, -from_blue * blue / green, -from_red * red / green], [1, from_blue, 0]])
