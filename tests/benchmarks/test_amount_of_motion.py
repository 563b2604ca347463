"""The amount of motion and of flicker, on videos where it is known."""

import numpy as np
import pytest

from benchmarks.judging.amount_of_motion import background_flicker, mean_difference, motion_ratio


def brightening(by):
    """Four grey frames, each lighter than the one before by ``by`` levels."""
    return np.broadcast_to((np.arange(4, dtype=np.uint8) * by)[:, None, None, None], (4, 6, 6, 3))


def test_the_difference_of_frames_is_in_grey_levels_whatever_its_sign():
    assert mean_difference([brightening(5), brightening(5)[::-1]]) == 5


def test_motion_is_a_multiple_of_that_of_real_clips():
    real = [brightening(8)]
    assert motion_ratio(real, real) == 1
    assert motion_ratio([brightening(4)], real) == 0.5
    assert motion_ratio([brightening(0)], real) == 0


def test_flicker_is_that_of_the_background_only():
    video = np.full((4, 6, 6, 3), 100, np.uint8)
    video[:, :, :3] = np.random.default_rng(0).integers(0, 256, (4, 6, 3, 3))
    background = np.zeros((6, 6), bool)
    background[:, 3:] = True
    assert background_flicker(video, background) == 0
    video[::2, :, 3:] += 2  # the standard deviation of 100 and 102 is 1
    assert background_flicker(video, background) == pytest.approx(1 / 255)
