"""Optical flow: where each pixel moves from one frame to the next."""

from __future__ import annotations

import numpy as np


def optical_flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Dense flow (Farneback 2003, "Two-frame motion estimation based on polynomial expansion") between two frames.

    Args:
        before, after: brightness, uint8 ``[H, W]``.

    Returns:
        float32 ``[H, W, 2]``: pixels to the right and downwards, ``before[y, x]`` ~ ``after[y + v, x + u]``. It is
        exactly 0 between equal frames, and where there is no texture to follow.
    """
    import cv2

    flow = np.zeros((*before.shape, 2), dtype=np.float32)
    if np.array_equal(before, after):
        # OpenCV returns some thousandths of a pixel here, because it extrapolates at the borders.
        return flow
    return np.asarray(
        cv2.calcOpticalFlowFarneback(
            before, after, flow, pyr_scale=0.5, levels=5, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0
        )
    )


def warp_back(after: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """``after`` ``[H, W]`` float32 moved back along ``flow``: an estimate of the frame before. Borders are repeated."""
    import cv2

    height, width = after.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(after, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
