"""How much fine detail there is."""

from __future__ import annotations

import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics.frames import Frames, as_frames, luma


def sharpness(frames: Frames) -> float:
    """Variance over the pixels of the Laplacian of luma, mean over the frames, 0..16 (a checkerboard of single pixels).

    The Laplacian is the sum of the four neighbours minus four times the pixel, at all pixels but the border
    (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"). Flat areas and linear ramps have 0.
    Noise is sharp too, and so is a smaller copy: compare videos of one size.

    Raises:
        InputError: for frames of fewer than 3 pixels a side.
    """
    return float(laplacian_variances(as_frames(frames)).mean())


def laplacian_variances(frames: torch.Tensor) -> torch.Tensor:
    """``[F, 3, H, W]`` -> variance of the Laplacian of each frame, ``[F]``."""
    height, width = frames.shape[2:]
    if min(height, width) < 3:
        raise InputError(f'Sharpness needs at least 3 pixels a side, found frames of {width} x {height}.')
    y = luma(frames)
    around = y[:, :-2, 1:-1] + y[:, 2:, 1:-1] + y[:, 1:-1, :-2] + y[:, 1:-1, 2:]
    return (around - 4 * y[:, 1:-1, 1:-1]).var(dim=(1, 2), correction=0)
