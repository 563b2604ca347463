"""How much fine detail a video has."""

from __future__ import annotations

import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics.frames import Frames, as_frames, luma


def sharpness(frames: Frames) -> float:
    """Variance over the pixels of the Laplacian of luma, mean over the frames, 0..16 (a checkerboard of single pixels).

    The Laplacian is the sum of the four neighbours minus four times the pixel, at all pixels but the border
    (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"). Flat areas and linear ramps score 0.
    Noise also counts as sharp, and so does a smaller copy, so compare only videos of the same size.

    Raises:
        InputError: for frames smaller than 3 x 3 pixels.
    """
    return float(laplacian_variances(as_frames(frames)).mean())


def laplacian_variances(frames: torch.Tensor) -> torch.Tensor:
    """``[F, 3, H, W]`` -> variance of the Laplacian of each frame, ``[F]``."""
    height, width = frames.shape[2:]
    if min(height, width) < 3:
        raise InputError(f'Sharpness needs at least 3 pixels per side, found frames of {width} x {height}.')
    y = luma(frames)
    around = y[:, :-2, 1:-1] + y[:, 2:, 1:-1] + y[:, 1:-1, :-2] + y[:, 1:-1, 2:]
    return (around - 4 * y[:, 1:-1, 1:-1]).var(dim=(1, 2), correction=0)
