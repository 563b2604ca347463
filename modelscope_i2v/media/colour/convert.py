"""Converts coded video colours to the 8-bit RGB of an ordinary screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelscope_i2v.media.colour import matrices, primaries, transfer
from modelscope_i2v.media.colour.description import ColourDescription

# Pixels that are converted together. More would only take more memory.
_PIXELS = 2**18
# Entries of the tables that stand for curves: fine enough that the darkest levels of 8 bits are exact.
_ENTRIES = 2**16


class ColourConverter:
    """Converts frames that have one description. The curves are tabulated once."""

    def __init__(self, description: ColourDescription) -> None:
        self._description = description
        code, curve = description.matrix, description.transfer
        self._decode = matrices.decoding_matrix(code, description.primaries, curve).astype(np.float32)
        scale = np.linspace(0, 1, _ENTRIES)
        self._light = transfer.to_light(scale, curve).astype(np.float32)
        self._levels = np.rint(255 * transfer.from_light(scale, curve)).astype(np.uint8)
        to_bt709 = primaries.to_bt709(description.primaries)
        self._rgb_from_lms = matrices.RGB_FROM_LMS.astype(np.float32) if code == matrices.ICTCP else None
        self._to_bt709 = to_bt709.astype(np.float32)

    def pixels(self, planes: Sequence[np.ndarray], bits: int) -> np.ndarray:
        """Planes ``[H, W]`` of Y, Cb, Cr (or G, B, R) with ``bits`` bits a value -> uint8 RGB ``[H, W, 3]``."""
        height, width = planes[0].shape
        rgb = np.empty((height, width, 3), np.uint8)
        rows = max(1, _PIXELS // width)
        for start in range(0, height, rows):
            part = slice(start, start + rows)
            rgb[part] = self._converted(self._normalised([plane[part] for plane in planes], bits))
        return rgb

    def _normalised(self, planes: Sequence[np.ndarray], bits: int) -> np.ndarray:
        """``[..., 3]``: luma in 0..1, colour differences in -0.5..0.5 (H.273, equations 20 to 37)."""
        values = np.stack(planes, axis=-1).astype(np.float32)
        unit, middle, largest = 2 ** (bits - 8), 2 ** (bits - 1), 2**bits - 1
        if self._description.matrix == matrices.IDENTITY:
            zero, span = [0, 0, 0], [largest] * 3
        elif self._description.full_range:
            zero, span = [0, middle, middle], [largest] * 3
        else:
            zero, span = [16 * unit, middle, middle], [219 * unit, 224 * unit, 224 * unit]
        out: np.ndarray = (values - np.array(zero, np.float32)) / np.array(span, np.float32)
        return out

    def _converted(self, coded: np.ndarray) -> np.ndarray:
        encoded = coded @ self._decode.T
        if not self._description.needs_light:
            levels: np.ndarray = np.rint(255 * np.clip(encoded, 0, 1)).astype(np.uint8)
            return levels
        light = _look_up(self._light, encoded)
        if self._rgb_from_lms is not None:
            light = np.maximum(light @ self._rgb_from_lms.T, 0)
        if self._description.transfer == transfer.HLG:
            light = transfer.hlg_display_light(light)
        light = light @ self._to_bt709.T
        return _look_up(self._levels, tone_mapped(light) if self._description.is_hdr else light)


def tone_mapped(light: np.ndarray) -> np.ndarray:
    """Light ``[..., 3]``, 1 at white -> light in 0..1, unchanged where it fits.

    Brighter colours are half cut off, which turns the brightest ones white, and half scaled down, which keeps their
    hue. So a lamp turns white, and a sunset stays orange.
    """
    brightest = light.max(axis=-1, keepdims=True)
    if brightest.max(initial=0) <= 1:
        return light
    scaled = light / np.maximum(brightest, 1)
    mapped: np.ndarray = (np.clip(light, 0, 1) + np.clip(scaled, 0, 1)) / 2
    return mapped


def _look_up(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The entries of a ``table`` over 0..1 that are nearest to ``values``."""
    nearest: np.ndarray = table[np.rint(np.clip(values, 0, 1) * (len(table) - 1)).astype(np.int32)]
    return nearest
