"""Seconds in, seconds out: odd time stamps, pauses, and what the last frame is worth."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image

from modelscope_i2v.media import open_video, write_video
from tests.calls import VIDEO
from tests.field.documented import documented
from tests.media.clips import beeps, gradient, record

FAST = {'steps': 1, 'height': 16, 'width': 16, 'guidance_scale': 1.0, 'solver': 'dpmpp_2m', 'seed': 1}


def slides(path, starts, end, codec='libx264', sound=0.0):
    """A frame at each of ``starts``, the last one until ``end``; all in seconds. With as many seconds of sound."""
    starts, ends = [round(1000 * time) for time in starts], [round(1000 * time) for time in [*starts[1:], end]]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.max_b_frames = 0
        track = container.add_stream('libopus' if codec.startswith('libvpx') else 'aac', rate=48000, layout='mono')
        packets = []
        for start, picture in zip(starts, gradient(len(starts)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = start, Fraction(1, 1000)
            packets += stream.encode(frame)
        for packet in [*packets, *stream.encode(None)]:
            packet.duration = ends[starts.index(packet.pts)] - packet.pts
            container.mux(packet)
        tone = beeps(sound, 48000)
        for start in range(0, len(tone), 960):
            piece = av.AudioFrame.from_ndarray(tone[start : start + 960].reshape(1, -1), format='s16', layout='mono')
            piece.sample_rate, piece.time_base, piece.pts = 48000, Fraction(1, 48000), start
            container.mux(track.encode(piece))
        container.mux(track.encode(None))
    return path


def lengths(path):
    """The seconds of video and of sound."""
    with av.open(str(path)) as container:
        streams = [container.streams.video[0], *container.streams.audio]
        return [float(stream.duration * stream.time_base) for stream in streams]


def rewritten(source, path):
    """Read a video and write it again, as stage 2 does."""
    video = open_video(source)
    frames = list(video.frames())
    return write_video(
        [frame.pixels for frame in frames],
        path,
        fps=video.fps,
        times=[frame.time for frame in frames],
        last_duration=frames[-1].duration,
        sound=video,
    )


def steps_of(path):
    return [float(b.time - a.time) for a, b in pairwise(open_video(path).frames())]


@documented(
    'Slide shows and screen recordings in MP4, MOV, MKV or WebM', 'the last frame lasts as long as the file says'
)
@pytest.mark.parametrize(
    ('name', 'codec'), [('a.mp4', 'libx264'), ('a.mov', 'libx264'), ('a.mkv', 'libx264'), ('a.webm', 'libvpx-vp9')]
)
def test_the_last_slide_and_its_sound(tmp_path, name, codec):
    source = slides(tmp_path / name, [0, 1, 3, 4], 12, codec, sound=12)
    frames = list(open_video(source).frames())
    assert [float(frame.time) for frame in frames] == [0, 1, 3, 4]
    assert float(frames[-1].duration) == pytest.approx(8, abs=0.002)
    assert lengths(rewritten(source, tmp_path / 'out.mp4')) == pytest.approx([12, 12], abs=0.03)


def test_the_last_slide_through_stage_2(stage_2, tmp_path):
    source = slides(tmp_path / 'a.mkv', [0, 1, 3, 4], 12, sound=12)
    out = stage_2(str(source), output_video=tmp_path / 'out.mp4', **FAST)[VIDEO]
    assert lengths(out) == pytest.approx([12, 12], abs=0.03)
    with av.open(str(out)) as container:
        assert [float(frame.time) for frame in container.decode(video=0)] == pytest.approx([0, 1, 3, 4])


def test_fewer_slides_end_when_the_next_would_come(stage_2, tmp_path):
    source = slides(tmp_path / 'a.mp4', [0, 1, 3, 4], 12, sound=12)
    out = stage_2(str(source), output_video=tmp_path / 'out.mp4', num_frames=2, **FAST)[VIDEO]
    assert lengths(out) == pytest.approx([3, 3], abs=0.03)


@documented('GIF, APNG, animated WebP or AVIF', 'a video for stage 2, pauses included')
@pytest.mark.parametrize('name', ['a.gif', 'a.png', 'a.webp', 'a.avif'])
@pytest.mark.parametrize('out', ['out.mp4', 'out.gif', 'out.webp'])
def test_an_animation_with_a_pause_at_its_end(tmp_path, name, out):
    pictures = [Image.new('RGB', (32, 24), (50 * index, 90, 200 - 40 * index)) for index in range(5)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=[100] * 4 + [3000])
    for path in (tmp_path / name, rewritten(tmp_path / name, tmp_path / out)):
        *_, last = open_video(path).frames()
        assert float(last.time + last.duration) == pytest.approx(3.4)
        np.testing.assert_allclose(last.pixels[12, 16].astype(int), (200, 90, 40), atol=6)


def test_a_steady_video_gives_the_same_file_whatever_its_last_duration(tmp_path):
    frames = gradient(6)
    times = [Fraction(index, 25) for index in range(6)]
    write_video(frames, tmp_path / 'a.mp4', fps=25)
    for last in (Fraction(1, 25), 0.0395, 0.001):
        write_video(frames, tmp_path / 'b.mp4', fps=25, times=times, last_duration=last)
        assert (tmp_path / 'a.mp4').read_bytes() == (tmp_path / 'b.mp4').read_bytes()


def copied_to(source, path, bitstream=None, change=None):
    """Copy the packets of a video into another container."""
    with av.open(str(source)) as container, av.open(str(path), 'w') as output:
        stream = container.streams.video[0]
        track = output.add_stream_from_template(stream)
        context = None if bitstream is None else BitStreamFilterContext(bitstream, stream, track)
        for packet in container.demux(stream):
            if not packet.size:
                continue
            for each in [packet] if context is None else context.filter(packet):
                if change is not None:
                    change(each)
                each.stream = track
                output.mux(each)
    return path


@documented('AVI, also with B-frames', 'steady: frames follow each other in the order of their packets')
@pytest.mark.parametrize(('codec', 'b_frames'), [('libx264', 2), ('mpeg4', 2), ('libx264', 0), ('mjpeg', 0)])
def test_avi_is_steady(tmp_path, codec, b_frames):
    pixels = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
    path = record(tmp_path / 'a.avi', gradient(30), codec, fps=30, max_b_frames=b_frames, pixels=pixels)
    assert open_video(path).fps == 30
    assert steps_of(path) == pytest.approx([1 / 30] * 29, abs=1e-6)


def test_h264_copied_from_mp4_to_avi_is_steady(tmp_path):
    source = record(tmp_path / 'a.mp4', gradient(30), fps=30, max_b_frames=2)
    path = copied_to(source, tmp_path / 'a.avi', bitstream='h264_mp4toannexb')
    assert open_video(path).fps == 30
    assert steps_of(path) == pytest.approx([1 / 30] * 29, abs=1e-6)
    np.testing.assert_array_equal(
        [frame.pixels for frame in open_video(path).frames()], [frame.pixels for frame in open_video(source).frames()]
    )
    with av.open(rewritten(path, tmp_path / 'out.mp4')) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx([index / 30 for index in range(30)], abs=1e-4)


@documented('B-frames whose time stamps are those of decoding', 'steady, as AVI')
@pytest.mark.parametrize('name', ['b.mp4', 'b.mkv'])
def test_time_stamps_of_decoding(tmp_path, name):
    """What comes of copying an AVI into an MP4."""

    def forget(packet):
        packet.dts += 1024  # two frames, so that no edit list cuts off what begins before zero
        packet.pts = packet.dts

    source = record(tmp_path / 'a.mp4', gradient(30), fps=30, max_b_frames=2)
    path = copied_to(source, tmp_path / name, change=forget)
    assert steps_of(path) == pytest.approx([1 / 30] * 29, abs=1e-3)


@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.ts', 'a.avi'])
@pytest.mark.parametrize('times', [None, [0, 0.04, 0.08, 0.3, 0.34, 0.9, 0.94]])
def test_times_are_the_best_that_ffmpeg_can_guess(tmp_path, name, times):
    """OpenCV reports FFmpeg's best guess; only at the very end of a file it has none."""
    cv2 = pytest.importorskip('cv2')
    if times is not None and name == 'a.avi':
        pytest.skip('AVI has no variable rate')
    path = record(tmp_path / name, gradient(7), fps=25, times=times, max_b_frames=2)
    capture, guessed = cv2.VideoCapture(str(path)), []
    while capture.read()[0]:
        guessed.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    ours = [float(frame.time) for frame in open_video(path).frames()]
    assert len(ours) == len(guessed) == 7
    known = [index for index in range(7) if index == 0 or guessed[index] > 0]
    assert len(known) >= 5
    assert [ours[index] for index in known] == pytest.approx([guessed[i] - guessed[0] for i in known], abs=0.002)
