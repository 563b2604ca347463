"""Videos that a measure must tell apart: real ones, and three kinds of bad ones made from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.judging.held_out_clips import HeldOutClip

#: Real clips; their first frame only; their frames in another order; and clips of something else.
CONTROLS = ('real', 'frozen', 'shuffled', 'wrong')


def frozen(frames: np.ndarray) -> np.ndarray:
    """The first frame of ``frames`` ``[F, H, W, 3]``, again and again."""
    return np.broadcast_to(frames[:1], frames.shape)


def shuffled(frames: np.ndarray) -> np.ndarray:
    """``frames``, of which the first stays, in another order that is always the same."""
    return frames[[0, *(1 + np.random.default_rng(0).permutation(len(frames) - 1))]]


def controls(clips: Sequence[HeldOutClip], wrong: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The frames of each control, by its name.

    Args:
        wrong: clips of other pictures or, where a text is to be obeyed, of the opposite text.
    """
    real = [clip.frames for clip in clips]
    return {
        'real': real,
        'frozen': [frozen(frames) for frames in real],
        'shuffled': [shuffled(frames) for frames in real],
        'wrong': list(wrong),
    }
