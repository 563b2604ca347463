"""The whole pipeline keeps the frame rate and the sound of the input."""

import logging
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from modelscope_i2v.media.reading.info import probe_video
from tests.calls import CLIP, VIDEO
from tests.media.clips import beeps, gradient, loud_times, record, sound_packets

FAST = {'steps': 1, 'height': 16, 'width': 16, 'guidance_scale': 1.0, 'solver': 'dpmpp_2m', 'seed': 1}


def times_of(path):
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv'])
def test_a_hundred_frames_with_sound(stage_2, tmp_path, name):
    source = record(tmp_path / name, gradient(100), sound=beeps(4))
    out = tmp_path / 'out.mp4'
    stage_2(str(source), output_video=out, **FAST)
    info = probe_video(out)
    assert (info.frames, info.fps, info.has_audio) == (100, 25, True)
    assert info.duration == pytest.approx(4)
    assert times_of(out) == pytest.approx([index / 25 for index in range(100)], abs=1e-3)
    codec, packets = sound_packets(source)
    assert sound_packets(out)[0] == codec == 'aac'
    assert {packet for packet, *_ in sound_packets(out)[1]} <= {packet for packet, *_ in packets}
    assert loud_times(out) == pytest.approx(loud_times(source), abs=0.03)
    assert len(loud_times(out)) == 4


@pytest.mark.parametrize('fps', ['25', '30000/1001', '24'])
def test_the_frame_rate_stays(stage_2, tmp_path, fps):
    source = record(tmp_path / 'a.mp4', gradient(10), fps=Fraction(fps))
    for name, options in {'b.mp4': {}, 'c.mp4': {'output_fps': round(float(Fraction(fps)), 2)}}.items():
        stage_2(str(source), output_video=tmp_path / name, **options, **FAST)
        info = probe_video(tmp_path / name)
        assert info.frames == 10
        assert info.fps == pytest.approx(float(Fraction(fps)), rel=1e-5)


def test_variable_rate(stage_2, tmp_path):
    times = [0.0, 0.04, 0.08, 0.3, 0.34, 0.9, 0.94]
    source = record(tmp_path / 'a.mkv', gradient(7), times=times)
    stage_2(str(source), output_video=tmp_path / 'b.mp4', **FAST)
    assert times_of(tmp_path / 'b.mp4') == pytest.approx(times, abs=2e-3)
    stage_2(str(source), output_video=tmp_path / 'c.mp4', output_fps=10, **FAST)
    assert {round(b - a, 4) for a, b in pairwise(times_of(tmp_path / 'c.mp4'))} == {0.1}


def test_another_rate_drops_the_sound_with_a_warning(stage_2, tmp_path, caplog):
    source = record(tmp_path / 'a.mp4', gradient(25), sound=beeps(1))
    with caplog.at_level(logging.WARNING):
        stage_2(str(source), output_video=tmp_path / 'same.mp4', output_fps=25, **FAST)
        assert not [entry for entry in caplog.records if 'sound' in entry.getMessage()]
        stage_2(str(source), output_video=tmp_path / 'b.mp4', output_fps=50, **FAST)
    assert [entry for entry in caplog.records if 'sound is left out' in entry.getMessage()]
    assert probe_video(tmp_path / 'same.mp4').has_audio
    info = probe_video(tmp_path / 'b.mp4')
    assert (info.frames, info.fps, info.has_audio) == (25, 50, False)
    assert info.duration == pytest.approx(0.5)


def test_a_rate_that_is_the_same_but_for_rounding_keeps_the_sound(stage_2, tmp_path):
    source = record(tmp_path / 'a.mp4', gradient(30), fps=Fraction(30000, 1001), sound=beeps(1))
    stage_2(str(source), output_video=tmp_path / 'b.mp4', output_fps=29.97, **FAST)
    assert probe_video(tmp_path / 'b.mp4').has_audio


def test_first_frames_only(stage_2, tmp_path):
    source = record(tmp_path / 'a.mp4', gradient(50), sound=beeps(2))
    stage_2(str(source), output_video=tmp_path / 'b.mp4', num_frames=20, **FAST)
    info = probe_video(tmp_path / 'b.mp4')
    assert (info.frames, info.has_audio) == (20, True)
    assert info.duration == pytest.approx(0.8)
    assert loud_times(tmp_path / 'b.mp4') == pytest.approx([0], abs=0.05)


def test_arrays_get_the_configured_rate(stage_2, tmp_path):
    stage_2(CLIP, output_video=tmp_path / 'a.mp4', **FAST)
    assert probe_video(tmp_path / 'a.mp4').fps == 8
    stage_2(CLIP, output_video=tmp_path / 'b.mp4', output_fps=12.5, **FAST)
    assert probe_video(tmp_path / 'b.mp4').fps == 12.5


def test_every_kind_of_video_gives_the_same_frames(stage_2, tmp_path):
    from PIL import Image

    lossless = record(tmp_path / 'a.mkv', list(CLIP), 'ffv1', pixels='bgr0')
    pictures = [Image.fromarray(frame) for frame in CLIP]
    sources = [str(lossless), lossless, lossless.read_bytes(), CLIP, tuple(pictures), {'video_path': pictures}]
    found = [stage_2(source, output_type='np', **FAST)[VIDEO] for source in sources]
    assert all(np.array_equal(frames, found[0]) for frames in found)
