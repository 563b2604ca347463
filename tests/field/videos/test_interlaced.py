"""Interlaced frames, whose odd and even rows are from different moments."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest

from modelscope_i2v.media import open_video
from tests.field.documented import documented

COUNT, HEIGHT, WIDTH = 12, 128, 256


def bar(moment):
    picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    picture[:, 8 + 4 * moment : 38 + 4 * moment] = 200
    return picture


def fields(index):
    """A frame that shows a bar 4 pixels further on in its odd rows."""
    picture = bar(2 * index)
    picture[1::2] = bar(2 * index + 1)[1::2]
    return picture


def record(path, codec, options, pictures):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def combs(picture):
    """How much neighbouring rows differ, in grey levels."""
    rows = picture[..., 1].astype(float)
    return np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean()


@documented('Interlaced video', 'deinterlaced (bwdif), at the same frame rate; a line says so')
@pytest.mark.parametrize(
    ('name', 'codec', 'options'),
    [
        ('a.mp4', 'libx264', {'flags': '+ildct+ilme', 'x264-params': 'tff=1', 'crf': '4'}),
        ('a.mkv', 'mpeg2video', {'flags': '+ildct+ilme', 'qscale': '2', 'b': '8M'}),
    ],
)
def test_interlaced_video_becomes_whole(tmp_path, caplog, name, codec, options):
    path = record(tmp_path / name, codec, options, [fields(index) for index in range(COUNT)])
    with av.open(str(path)) as container:
        raw = list(container.decode(video=0))
        assert all(frame.interlaced_frame for frame in raw)
        assert combs(raw[5].to_ndarray(format='rgb24')) > 9
    with caplog.at_level(logging.WARNING):
        frames = list(open_video(path).frames())
    assert len(frames) == COUNT
    assert [float(frame.time) for frame in frames] == pytest.approx([i / 25 for i in range(COUNT)], abs=1e-3)
    assert max(combs(frame.pixels) for frame in frames[1:-1]) < 0.5
    for index in range(2, COUNT - 2):
        # The bar is where one of the two fields shows it: encoders differ in which one they mark as the first.
        shown = frames[index].pixels[..., 1].mean(axis=0)
        assert min(np.abs(shown - bar(2 * index + field)[0, :, 1]).max() for field in (0, 1)) < 60
    assert [record.getMessage() for record in caplog.records] == [
        f"The video file '{path}' is interlaced; its frames are deinterlaced."
    ]


def test_progressive_video_is_untouched(tmp_path, caplog):
    path = record(tmp_path / 'a.mp4', 'libx264', {'crf': '4'}, [bar(index) for index in range(COUNT)])
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    with caplog.at_level(logging.WARNING):
        frames = [frame.pixels for frame in open_video(path).frames()]
    assert not caplog.records
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(frames, wanted, strict=True)) <= 1
    assert combs(frames[5]) == combs(wanted[5])


def test_whole_frames_after_interlaced_ones_are_untouched(tmp_path):
    """As broadcasts mix them."""
    interlaced = record(
        tmp_path / 'a.m2v', 'mpeg2video', {'flags': '+ildct+ilme', 'b': '8M'}, [fields(i) for i in range(COUNT)]
    )
    whole = record(tmp_path / 'b.m2v', 'mpeg2video', {'b': '8M'}, [bar(index) for index in range(COUNT)])
    mixed = tmp_path / 'mixed.m2v'
    mixed.write_bytes(interlaced.read_bytes() + whole.read_bytes())
    with av.open(str(mixed)) as container:
        flags = [frame.interlaced_frame for frame in container.decode(video=0)]
    assert flags == [True] * COUNT + [False] * COUNT
    frames = [frame.pixels for frame in open_video(mixed).frames()]
    assert len(frames) == 2 * COUNT
    assert max(combs(picture) for picture in frames[1 : COUNT - 1]) < 0.5
    np.testing.assert_array_equal(frames[COUNT:], [frame.pixels for frame in open_video(whole).frames()])
