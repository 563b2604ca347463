"""The measures of the embedded second generation, on clips that are known to be right or wrong."""

import math

import numpy as np
import pytest

from benchmarks.embedded_quality import Benchmark, parse
from benchmarks.judging.amount_of_motion import mean_difference
from benchmarks.judging.camera import DIRECTIONS
from benchmarks.judging.controls import CONTROLS, controls, frozen, shuffled
from benchmarks.judging.held_out_clips import SPRITE_TEXTS, default_clips, opposite, text_clips
from benchmarks.judging.stage1 import first_frame_psnr, flicker, obedience, relative_motion
from benchmarks.judging.table import Row, header
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


def test_pictures_for_texts_of_the_camera_have_something_to_see_behind_them(tiny):
    for clip in text_clips(tiny, 'pan left', 6):
        # Tiny photographs are made of plain squares, and smooth colours have no edges.
        assert np.abs(np.diff(clip.frames[0, 0].astype(int), axis=0)).max() > 20


def test_the_first_frame_and_motion_of_controls(tiny):
    clips = list(default_clips(tiny, emoji=0, photographs=2))
    of = controls(clips, [clip.frames[::-1] for clip in clips])
    assert first_frame_psnr(of['real'], clips) == first_frame_psnr(of['frozen'], clips) == math.inf
    assert first_frame_psnr(of['wrong'], clips) < 40
    motion = {name: relative_motion(videos, of['real']) for name, videos in of.items()}
    assert motion['real'] == motion['wrong'] == 1
    assert motion['frozen'] == 0
    assert motion['shuffled'] > 1


def test_backgrounds_of_real_clips_do_not_flicker(tiny):
    clips = list(text_clips(tiny, SPRITE_TEXTS[0], 2))
    real = [clip.frames for clip in clips]
    assert flicker(real, clips) < 1e-12
    noise = np.random.default_rng(0).integers(-10, 11, real[0].shape)
    noisy = [np.clip(frames + noise, 0, 255).astype(np.uint8) for frames in real]
    assert flicker(noisy, clips) == pytest.approx(np.sqrt((21**2 - 1) / 12) / 255, rel=0.1)


def test_a_row_says_what_was_missed():
    row = Row('motion', 2.0, low=0.6, high=1.5, controls={'real': 1.0, 'frozen': 0.0})
    assert row.line(CONTROLS) == '| motion | 0.6 to 1.5 | 1.00 | 0.0000 |  |  | 2.00 (!) |'
    assert Row('first frame', 25.0, low=22).line(()) == '| first frame | >= 22 | 25.00 |'
    assert header(()) == '| measure | reach | the model |\n|---|---|---|'
    assert not Row('nothing', math.nan, low=0).reached


@pytest.mark.slow
def test_a_model_is_measured_beside_the_controls(tiny, i2vgen_folder, monkeypatch, tmp_path):
    """An untrained model: it shows nothing, and the table says so."""
    monkeypatch.setattr('benchmarks.embedded_quality.load_data', lambda *_, **__: tiny)
    words = ['folder', '--model', str(i2vgen_folder), '--emoji', '1', '--photographs', '2', '--keep', str(tmp_path)]
    benchmark = Benchmark(parse(words))
    rows = {row.name: row for part in (benchmark.autoencoder, benchmark.default) for row in part()}
    assert not rows['autoencoder alone, PSNR, emoji (dB)'].reached
    assert 0 <= rows['autoencoder alone, frame 16 is recognised among 32'].video < 1
    assert not rows['first frame, PSNR, photographs (dB)'].reached
    assert rows['frame 8 is recognised among 32'].controls['frozen'] == 1
    assert rows['motion, emoji'].controls['real'] == 1
    assert len(list(tmp_path.iterdir())) == 3
