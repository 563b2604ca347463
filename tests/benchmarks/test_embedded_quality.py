"""The measures of the embedded second generation, on clips that are known to be right or wrong."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.embedded_quality import Benchmark, parse
from benchmarks.judging.amount_of_motion import mean_difference
from benchmarks.judging.camera import DIRECTIONS
from benchmarks.judging.controls import CONTROLS, controls, frozen, shuffled
from benchmarks.judging.held_out_clips import (
    NAMED,
    SPRITE_TEXTS,
    default_clips,
    load_judged_data,
    opposite,
    text_clips,
)
from benchmarks.judging.stage1 import first_frame_psnr, flicker, obedience, relative_motion
from benchmarks.judging.table import Row, header
from demo_training.emoji_and_photographs.photographs import Photographs
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


def test_photographs_take_turns_and_show_something(tiny):
    crops = tiny.photographs.crops.copy()
    crops[0, :, :200] = 128  # most parts of the first one are plain
    names = [f'{number}' for number in range(len(crops))]
    data = replace(tiny, photographs=Photographs(tuple(names), crops), crop_indices=tuple(range(len(crops))))
    clips = list(default_clips(data, emoji=0, photographs=2 * len(crops)))
    assert [clip.subject for clip in clips] == 2 * sorted(names)
    assert min(clip.frames[0].astype(float).mean(axis=-1).std() for clip in clips) > 5


def test_the_judged_photographs_are_wallpapers_and_four_others(tiny, tmp_path):
    (tmp_path / 'emoji.json').write_text(json.dumps({'names': ['1f428', '1f431', '1f435'], 'starts': [0, 3, 6, 9]}))
    np.save(tmp_path / 'emoji.npy', tiny.emoji.frames)
    (tmp_path / 'photographs.json').write_text(json.dumps(tiny.photographs.names))
    np.save(tmp_path / 'photographs.npy', tiny.photographs.crops)
    data = load_judged_data(tmp_path)
    names = [data.photographs.names[index] for index in data.crop_indices]
    assert set(names) == {tiny.photographs.names[3], *NAMED, 'cat'}
    assert len(data.photographs) == len(data.photographs.crops)


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
    monkeypatch.setattr('benchmarks.embedded_quality.load_judged_data', lambda *_, **__: tiny)
    words = ['folder', '--model', str(i2vgen_folder), '--emoji', '1', '--photographs', '2', '--keep', str(tmp_path)]
    benchmark = Benchmark(parse(words))
    rows = {row.name: row for part in (benchmark.autoencoder, benchmark.default) for row in part()}
    assert not rows['autoencoder alone, PSNR, emoji (dB)'].reached
    assert 0 <= rows['autoencoder alone, frame 16 is recognised among 32'].video < 1
    assert not rows['first frame, PSNR, photographs (dB)'].reached
    assert rows['frame 8 is recognised among 32'].controls['frozen'] == 1
    assert rows['motion, emoji'].controls['real'] == 1
    assert len(list(tmp_path.iterdir())) == 3
