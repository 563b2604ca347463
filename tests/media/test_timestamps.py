"""Videos of variable rate: when each frame is shown."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.info import probe_video
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.timestamps import TICK, checked_timing, is_constant_rate
from modelscope_i2v.media.writing.write import encode_video, write_video
from tests.media.clips import beeps, gradient, loud_times, record

UNEVEN = [0, Fraction(1, 30), 0.1, 0.11, Fraction(1, 3), 2.5, 2.5 + TICK, 2.6, 3, Fraction(10, 3)]


def shown(path):
    """The time stamps of the decoded frames and of the end, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(stream)]
        assert all(packet.pts == packet.dts for packet in _packets(path))
        return times, stream.duration * stream.time_base


def _packets(path):
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def test_uneven_times_come_back(tmp_path, frames):
    path = write_video(iter(frames), tmp_path / 'a.mp4', fps=8, times=UNEVEN)
    times, end = shown(path)
    for found, wanted in zip(times, UNEVEN, strict=True):
        assert abs(found - Fraction(wanted)) <= TICK / 2
    assert abs(end - (Fraction(10, 3) + Fraction(1, 8))) <= TICK
    read = list(open_video(path).frames())
    assert [frame.time for frame in read] == times
    assert np.abs(np.stack([frame.pixels for frame in read]).astype(int) - np.stack(frames)).mean() < 3


def test_many_uneven_times_come_back(tmp_path):
    steps = np.random.default_rng(0).uniform(0.001, 0.3, 299)
    times = [0.0, *np.cumsum(steps)]
    path = write_video(gradient(300, 16, 16), tmp_path / 'a.mp4', fps=25, times=times)
    found, _ = shown(path)
    assert max(abs(float(a) - b) for a, b in zip(found, times, strict=True)) <= TICK / 2 + 1e-9


def test_what_was_read_can_be_written(tmp_path):
    times = [0, 0.02, 0.3, 0.35, 0.9]
    source = open_video(record(tmp_path / 'a.mkv', gradient(5), times=times))
    read = list(source.frames())
    path = write_video(
        (frame.pixels for frame in read), tmp_path / 'b.mp4', fps=source.fps, times=[frame.time for frame in read]
    )
    assert [float(frame.time) for frame in open_video(path).frames()] == pytest.approx(times, abs=1e-5)


@pytest.mark.parametrize('fps', [8, 29.97, 30000 / 1001, Fraction(24000, 1001)])
@pytest.mark.parametrize('digits', [3, 6, 15])
def test_steady_times_give_the_ordinary_file(frames, fps, digits):
    """This also holds if the input counts in milliseconds, as WebM does."""
    rate = Fraction(fps).limit_denominator(60060)
    times = [round(float(index / rate), digits) for index in range(10)]
    assert is_constant_rate(times, rate)
    assert encode_video(frames, fps=fps, times=times) == encode_video(frames, fps=fps)
    assert encode_video(frames[:1], fps=fps, times=[0]) == encode_video(frames[:1], fps=fps)


def test_equal_times_give_equal_bytes(tmp_path, frames):
    once = encode_video(frames, fps=8, times=UNEVEN)
    assert (
        once == encode_video(frames, fps=8, times=np.array(UNEVEN, float)) == encode_video(frames, fps=8, times=UNEVEN)
    )
    assert not is_constant_rate(UNEVEN, 8)


def test_the_clock(frames):
    steady, uneven = checked_timing(8, None), checked_timing(8, [0, 1, Fraction(5, 2)])
    assert (steady.start(3), steady.end(3)) == (Fraction(3, 8), Fraction(1, 2))
    assert [uneven.start(index) for index in range(3)] == [0, 1, Fraction(5, 2)]
    assert [uneven.end(index) for index in range(3)] == [1, Fraction(5, 2), Fraction(21, 8)]


@pytest.mark.parametrize('kind', ['gif', 'webp'])
def test_animations_keep_uneven_times(tmp_path, frames, kind):
    path = tmp_path / f'a.{kind}'
    write_video(frames[:4], path, fps=4, times=[0, 0.1, 0.5, 0.8])
    with Image.open(path) as image:
        durations = []
        for index in range(4):
            image.seek(index)
            image.load()
            durations.append(image.info['duration'])
    assert durations == [100, 400, 300, 250]


def test_sound_goes_with_uneven_times(tmp_path):
    source = open_video(record(tmp_path / 'a.mp4', gradient(10), fps=5, sound=beeps(2)))
    path = write_video(gradient(5), tmp_path / 'b.mp4', fps=5, times=[0, 0.1, 0.7, 1, 1.1], sound=source)
    assert probe_video(path).duration == pytest.approx(1.3, abs=1e-4)
    assert loud_times(path) == pytest.approx([0, 1], abs=0.002)


@pytest.mark.parametrize(
    ('times', 'told'),
    [
        ([0, 0.1], 'more frames than the 2 times'),
        ([0, 0.1, 0.3, 0.4], 'There are 3 frames but 4 times'),
        ([], 'more frames than the 0 times'),
        ([1, 2, 3], 'count from the first frame, found 1'),
        ([0, 0.2, 0.2], 'must increase .* frame 2'),
        ([0, 0.2, 0.1], 'must increase'),
        ([0, 1e-6, 0.1], 'must increase by at least 1/90000 s'),
        ([0, float('nan'), 1], 'finite numbers of seconds, found nan for frame 1'),
        ([0, float('inf'), 1], 'finite numbers'),
        ([0, None, 1], 'found None for frame 1'),
        ([0, '1', 2], 'finite numbers'),
        ('012', 'list of seconds'),
        (5, 'list of seconds, one per frame, found int'),
        (iter([0, 1, 2]), 'list of seconds'),
    ],
)
def test_bad_times(tmp_path, frames, times, told):
    for suffix in ('.mp4', '.gif'):
        with pytest.raises(InputError, match=told):
            write_video(frames[:3], tmp_path / f'a{suffix}', fps=8, times=times)
    assert list(tmp_path.iterdir()) == []
