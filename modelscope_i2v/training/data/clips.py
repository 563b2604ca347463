"""Training examples before they are encoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Clip:
    """A short video, or a picture as a video of one frame.

    Attributes:
        frames: uint8 RGB ``[F, H, W, 3]``.
        fps: the frame rate that stage 1 gets as an input.
        text: a description of the content, for stage 2; may be empty.
    """

    frames: np.ndarray
    fps: float
    text: str = ''


def to_pixels(frames: np.ndarray) -> torch.Tensor:
    """uint8 ``[..., H, W, 3]`` -> float32 ``[..., 3, H, W]`` in [-1, 1], the input of the autoencoder."""
    return torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, -3).float().div(127.5).sub(1)
