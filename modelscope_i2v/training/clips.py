"""A training example before it is encoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clip:
    """A short video, or a picture as a video of one frame.

    Attributes:
        frames: uint8 RGB ``[F, H, W, 3]``.
        fps: frames per second that stage 1 is told.
        text: what is to be seen, for stage 2; may be empty.
        source: the frames as stage 2 gets them, blurred or coarse, of the same shape; None where it gets ``frames``.
    """

    frames: np.ndarray
    fps: float
    text: str = ''
    source: np.ndarray | None = None
