"""The measures of the embedded second generation, on clips that are known to be right or wrong."""

import numpy as np
import pytest

from benchmarks.embedded_controls import controls, frozen, obedience, shuffled
from benchmarks.judging.amount_of_motion import mean_difference
from benchmarks.judging.camera import DIRECTIONS
from benchmarks.judging.held_out_clips import default_clips, opposite, text_clips
from tests.demo_training.emoji_and_photographs.conftest import tiny

__all__ = ['tiny']


def test_controls_show_the_first_frame_first_and_only_real_ones_go_on_as_they_should(tiny):
    clips = list(default_clips(tiny, emoji=2, photographs=1))
    assert [clip.is_emoji for clip in clips] == [True, True, False]
    assert [bool(clip.mask.any()) for clip in clips] == [True, True, False]
    of = controls(clips, [clip.frames for clip in clips])
    for name, videos in of.items():
        for video, clip in zip(videos, clips, strict=True):
            assert np.array_equal(video[0], clip.frames[0]), name
    photograph = clips[2].frames
    assert np.array_equal(np.sort(shuffled(photograph), axis=0), np.sort(photograph, axis=0))
    assert not np.array_equal(shuffled(photograph), photograph)
    assert mean_difference(of['frozen']) == 0 < mean_difference(of['real'])
    assert frozen(photograph).shape == photograph.shape


@pytest.mark.parametrize('text', ['zoom in', 'pan left', 'rotate left'])
def test_clips_of_photographs_obey_their_own_text_and_not_the_opposite(tiny, text):
    clips = list(text_clips(tiny, text, 2))
    assert obedience([clip.frames for clip in clips], clips, text) == 1
    assert obedience([frozen(clip.frames) for clip in clips], clips, text) == 0
    wrong = [clip.frames for clip in text_clips(tiny, opposite(text), 2)]
    assert obedience(wrong, clips, text) == 0


def test_every_text_of_the_camera_has_an_opposite():
    assert all(opposite(opposite(text)) == text != opposite(text) for text in DIRECTIONS)
