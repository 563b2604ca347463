"""The transfer characteristics of ITU-T H.273: from encoded values to light, and from light to encoded values.

Light is relative to white: 1 is the white of an ordinary video. High dynamic range puts that white at 203 cd/m2 (ITU-R
BT.2408, section 2.1), and goes beyond it.
"""

from __future__ import annotations

import numpy as np

BT709, UNSPECIFIED, RESERVED, GAMMA28, LINEAR, SRGB, PQ, ST428, HLG = 1, 2, 3, 5, 8, 13, 16, 17, 18
HDR = (PQ, HLG)
#: Curves that are not converted here: the logarithmic ones.
REFUSED = (9, 10)
#: Curves whose light differs from that of ordinary video.
CONVERTED = (GAMMA28, LINEAR, PQ, ST428, HLG)
#: Luminance of reference white in high dynamic range, in cd/m2.
WHITE = 203.0
# Peak of a display for which HLG is mastered, in cd/m2, and its system gamma (BT.2100, table 5).
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2
# Gamma of the reference display of ordinary video (BT.1886).
_DISPLAY_GAMMA = 2.4


def to_light(encoded: np.ndarray, code: int) -> np.ndarray:
    """Encoded values in 0..1 -> light, 1 at white. For HLG it is the scene's light; see :func:`hlg_display_light`."""
    value: np.ndarray = np.clip(encoded, 0, 1)
    light: np.ndarray
    if code == PQ:
        light = _pq(value) * (10_000 / WHITE)
    elif code == HLG:
        light = _hlg(value)
    elif code == SRGB:
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    elif code == LINEAR:
        light = value
    elif code == ST428:  # encoded in units of 52.37 cd/m2, with white at 48
        light = value**2.6 * (52.37 / 48)
    else:
        light = value ** (2.8 if code == GAMMA28 else _DISPLAY_GAMMA)
    return light


def from_light(light: np.ndarray, code: int) -> np.ndarray:
    """Light in 0..1 -> values for an ordinary screen.

    If ``code`` is a curve of ordinary video, it is also the target's, so that greys keep their values. All others are
    encoded as sRGB.
    """
    light = np.clip(light, 0, 1)
    if code in (*CONVERTED, SRGB):
        return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    encoded: np.ndarray = light ** (1 / _DISPLAY_GAMMA)
    return encoded


def hlg_display_light(scene: np.ndarray) -> np.ndarray:
    """Scene light of HLG, BT.2020 RGB ``[..., 3]`` -> light of the display, 1 at white (OOTF, BT.2100 table 5)."""
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], scene.dtype)
    shown: np.ndarray = scene * (luminance ** (_HLG_GAMMA - 1) * (_HLG_PEAK / WHITE))[..., None]
    return shown


def _pq(value: np.ndarray) -> np.ndarray:
    """The share of 10,000 cd/m2 (SMPTE ST 2084, equation 4.1)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = value ** (1 / m2)
    share: np.ndarray = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return share


def _hlg(value: np.ndarray) -> np.ndarray:
    """Scene light in 0..1 (inverse OETF, BT.2100 table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
