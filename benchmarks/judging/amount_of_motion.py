"""How much moves in videos, against real ones, and how much trembles where nothing should move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_difference(videos: Sequence[np.ndarray]) -> float:
    """Mean absolute difference of successive frames, in grey levels, of uint8 videos ``[F, H, W, 3]``."""
    return float(np.mean([np.abs(np.diff(video.astype(np.float32), axis=0)).mean() for video in videos]))


def motion_ratio(videos: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> float:
    """The difference of frames of ``videos``, as a multiple of that of ``real`` ones. 0: frozen, 1: as in real ones."""
    return mean_difference(videos) / mean_difference(real)


def background_flicker(video: np.ndarray, background: np.ndarray) -> float:
    """Standard deviation over time, in 0..1, in the mean over the pixels that should be still.

    Args:
        video: uint8 ``[F, H, W, 3]``.
        background: bool ``[H, W]``, the pixels that nothing ever covers.
    """
    return float((video[:, background] / 255).std(axis=0).mean())
