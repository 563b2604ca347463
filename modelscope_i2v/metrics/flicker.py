"""Flicker: brightness and colour that change back and forth."""

from __future__ import annotations

import torch

from modelscope_i2v.metrics.frames import Frames, as_frames, at_least


def flicker(frames: Frames) -> float:
    """Mean absolute second difference ``|x[t + 1] - 2 x[t] + x[t - 1]|`` of all values, 0..2.

    A static clip and a steady fade score 0; a clip that alternates between black and white scores 2. Motion adds to it,
    so compare with real clips that move in a similar way.

    Raises:
        InputError: for fewer than 3 frames.
    """
    return float(second_differences(at_least(as_frames(frames), 3, 'Flicker')).mean())


def second_differences(frames: torch.Tensor) -> torch.Tensor:
    """``[F, 3, H, W]`` -> mean absolute second difference at each frame with two neighbours, ``[F - 2]``."""
    before, here, after = frames[:-2], frames[1:-1], frames[2:]
    return (after - 2 * here + before).abs().mean(dim=(1, 2, 3))
