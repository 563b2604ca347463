"""Putting transparent pixels over a background."""

from __future__ import annotations

import numpy as np


def over(pixels: np.ndarray, alpha: np.ndarray, background: tuple[int, int, int]) -> np.ndarray:
    """``pixels`` (uint8 RGB ``[H, W, 3]``) over a background, rounded to the nearest level.

    Blends the encoded levels, as browsers do. Works row by row of a few, so that large pictures need little memory.

    Args:
        alpha: uint8 ``[H, W]``; 255 is opaque.
    """
    if alpha.min(initial=255) == 255:
        return pixels
    behind = np.array(background, np.uint32)
    blended = np.empty_like(pixels)
    rows = max(1, 2**20 // max(1, pixels.shape[1]))
    for start in range(0, len(pixels), rows):
        part = slice(start, start + rows)
        weight = alpha[part, :, None].astype(np.uint32)
        blended[part] = (pixels[part] * weight + behind * (255 - weight) + 127) // 255
    return blended
