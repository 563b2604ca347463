import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics import flicker
from tests.metrics.clips import moving_texture, plain


def test_a_frozen_clip_has_none():
    assert flicker(moving_texture(0)) == 0


def test_a_steady_fade_has_none():
    assert flicker(plain(*[index / 8 for index in range(9)])) == pytest.approx(0, abs=1e-7)


def test_black_and_white_in_turn_have_the_most_that_there_can_be():
    assert flicker(plain(0.0, 1.0, 0.0, 1.0)) == 2


def test_an_accelerating_fade_has_its_acceleration():
    assert flicker(plain(*[0.01 * index**2 for index in range(8)])) == pytest.approx(0.02, abs=1e-6)


def test_a_single_flash_counts_where_it_is():
    clip = torch.zeros(5, 3, 4, 4)
    clip[2, :, 0, 0] = 1  # second differences 1, -2, 1 in one of 16 pixels
    assert flicker(clip) == pytest.approx(4 / 3 / 16)


def test_two_frames_are_too_few():
    with pytest.raises(InputError, match='at least 3 frames, found 2'):
        flicker(plain(0.0, 1.0))
