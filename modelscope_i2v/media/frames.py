"""Converts the decoder's output to pixels for video files or to floats for programs."""

from __future__ import annotations

import numpy as np
import torch

from modelscope_i2v.errors import InputError


def frames_to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Decoded frames as pixels, bit for bit as in the original: scaled, clamped and truncated. NaN becomes 0.

    Args:
        frames: floating point RGB ``[F, 3, H, W]`` in -1..1, on any device; left unchanged.

    Returns:
        uint8 RGB ``[F, H, W, 3]``.

    Raises:
        InputError: ``frames`` has a different shape.
    """
    scaled = frames_to_float(frames).mul_(255)
    # Casting NaN to an integer gives different results on different processors.
    return scaled.nan_to_num_(nan=0.0).permute(0, 2, 3, 1).to(torch.uint8).contiguous().cpu().numpy()


def frames_to_float(frames: torch.Tensor) -> torch.Tensor:
    """Decoded frames as float32 RGB ``[F, 3, H, W]`` clamped to 0..1, a new tensor on the same device.

    Args:
        frames: floating point RGB ``[F, 3, H, W]`` in -1..1; left unchanged.

    Raises:
        InputError: ``frames`` has a different shape.
    """
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise InputError(
            f'Decoded frames must have the shape [F, 3, H, W], found {list(frames.shape)}. Give the frames of one '
            f'video, with the channels second.'
        )
    return frames.detach().to(torch.float32).mul(0.5).add_(0.5).clamp_(0, 1)
