"""Reading videos of every kind as a stream of upright RGB frames."""

import base64
import functools
import http.server
import itertools
import struct
import subprocess
import sys
import tempfile
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.open import TimedFrame, VideoSource, open_video
from modelscope_i2v.media.writing.write import write_video
from tests.media.clips import beeps, gradient, record

cv2 = pytest.importorskip('cv2', reason='compares with OpenCV, which the original implementation reads videos with')

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / 'tests' / 'data' / 'video_5f_96x64.avi'


def pixels_of(source):
    return np.stack([frame.pixels for frame in open_video(source).frames()])


def opencv_pixels(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, frame = capture.read()
        if not there:
            return np.stack(frames)[..., ::-1]
        frames.append(frame)


@pytest.fixture
def clip(tmp_path, frames):
    """Ten frames at 12.5 per second, losslessly compressed. The file name contains every trap."""
    return record(tmp_path / 'a clip %20 ü%d.mkv', frames, 'ffv1', Fraction(25, 2), pixels='bgr0')


def test_the_lossless_clip_of_the_reference_comes_out_as_opencv_reads_it():
    video = open_video(GOLDEN)
    assert (video.width, video.height, video.has_sound, video.recipe) == (96, 64, False, [])
    expected = opencv_pixels(GOLDEN)
    assert expected.shape == (5, 64, 96, 3)
    np.testing.assert_array_equal(pixels_of(GOLDEN), expected)


@pytest.mark.parametrize(
    ('name', 'codec', 'pixels', 'context'),
    [
        ('a.mp4', 'libx264', 'yuv420p', {}),
        ('bt709.mp4', 'libx264', 'yuv420p', {'colorspace': 1}),
        ('444.mp4', 'libx264', 'yuv444p', {}),
        ('a.avi', 'mpeg4', 'yuv420p', {}),
        ('full range.avi', 'mjpeg', 'yuvj420p', {}),
        ('a.webm', 'libvpx', 'yuv420p', {}),
        ('a.mov', 'libx264', 'yuv420p', {}),
        ('a.ts', 'libx264', 'yuv420p', {}),
    ],
)
@pytest.mark.parametrize('size', [(48, 64), (46, 62)])
def test_colours_are_those_of_opencv(tmp_path, name, codec, pixels, context, size):
    path = record(tmp_path / name, gradient(4, *size), codec, pixels=pixels, **context)
    np.testing.assert_array_equal(pixels_of(path), opencv_pixels(path))


def test_our_own_videos_come_back(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (200, 30, 90), (12, 130, 250)]
    for colour in colours:
        flat = np.full((32, 48, 3), colour, np.uint8)
        path = write_video([flat] * 3, tmp_path / 'a.mp4', fps=8, recipe=[{'seed': 7}])
        assert np.abs(pixels_of(path).astype(int) - colour).max() <= 3
    video = open_video(path)
    assert (video.fps, video.aspect, video.recipe) == (8.0, 1.5, [{'version': 1, 'seed': 7}])
    assert video.name == f'The video file {str(path)!r}'


def test_every_way_to_hand_a_file_over(clip, frames):
    data = clip.read_bytes()
    text = base64.b64encode(data).decode()
    uri = f'data:video/x-matroska;base64,{text}'
    for source in (str(clip), clip, clip.as_uri(), data, bytearray(data), memoryview(data), text, uri):
        video = open_video(source)
        assert isinstance(video, VideoSource)
        assert (video.width, video.height, video.fps) == (64, 48, 12.5)
        for _ in range(2):
            read = list(video.frames())
            np.testing.assert_array_equal([frame.pixels for frame in read], frames)
            assert [frame.time for frame in read] == [Fraction(2 * index, 25) for index in range(10)]


@pytest.fixture
def address(tmp_path):
    """A real web server on this machine that serves the test's folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        yield f'http://127.0.0.1:{web.server_port}'
        web.shutdown()
        thread.join()


def test_videos_from_the_web_live_in_a_temporary_file_as_long_as_needed(clip, frames, address, clean_temp):
    video = open_video(f'{address}/{clip.name.replace("%", "%25")}')
    assert len(list(clean_temp.iterdir())) == 1
    for _ in range(2):
        np.testing.assert_array_equal([frame.pixels for frame in video.frames()], frames)
    del video
    assert list(clean_temp.iterdir()) == []


def test_bad_addresses_leave_nothing_behind(tmp_path, address, clean_temp):
    (tmp_path / 'page.mp4').write_bytes(b'<html></html>' * 100)
    (tmp_path / 'empty.mp4').write_bytes(b'')
    for url, told in [
        (f'{address}/missing.mp4', '404'),
        (f'{address}/page.mp4', 'cannot be read as a video'),
        (f'{address}/empty.mp4', 'zero bytes'),
    ]:
        with pytest.raises(InputError, match=told):
            open_video(url)


def test_readings_do_not_disturb_each_other(clip, frames):
    for source in (clip, clip.read_bytes()):
        video = open_video(source)
        for (one, other), expected in zip(itertools.zip_longest(video.frames(), video.frames()), frames, strict=True):
            np.testing.assert_array_equal(one.pixels, expected)
            np.testing.assert_array_equal(other.pixels, expected)
        abandoned = video.frames()
        next(abandoned)
        abandoned.close()


@pytest.mark.parametrize('mirror', [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize('quarters', range(4))
def test_turned_and_mirrored_videos_come_out_upright(tmp_path, quarters, mirror):
    path = tmp_path / 'a.mp4'
    upright = gradient(1)[0]
    record(path, [upright], rotation=(90 * quarters, *mirror))
    expected = np.rot90(upright, quarters)[:: -1 if mirror[1] else 1, :: -1 if mirror[0] else 1].astype(int)
    video = open_video(path)
    assert (video.height, video.width) == expected.shape[:2]
    assert video.aspect == video.width / video.height
    found = pixels_of(path)[0]
    assert np.abs(found - expected).mean() < 4
    if mirror == (False, False):
        np.testing.assert_array_equal(found, opencv_pixels(path)[0])


def test_pixels_that_are_not_square(tmp_path):
    path = tmp_path / 'a.mp4'
    record(path, gradient(2), sample_aspect_ratio=Fraction(4, 3))
    video = open_video(path)
    assert (video.width, video.height) == (64, 48)
    assert video.aspect == pytest.approx(16 / 9)
    record(path, gradient(2), sample_aspect_ratio=Fraction(4, 3), rotation=(90,))
    video = open_video(path)
    assert (video.width, video.height) == (48, 64)
    assert video.aspect == pytest.approx(9 / 16)


@pytest.mark.parametrize('name', ['a.mkv', 'a.mp4'])
def test_times_of_a_variable_rate(tmp_path, name):
    times = [0, 0.04, 0.1, 0.5, 0.501, 0.9]
    path = record(tmp_path / name, gradient(6), times=times)
    assert [float(frame.time) for frame in open_video(path).frames()] == pytest.approx(times, abs=1e-9)


def test_times_count_from_the_first_frame(tmp_path):
    path = record(tmp_path / 'a.mkv', gradient(3), times=[5.0, 5.2, 5.4])
    assert [frame.time for frame in open_video(path).frames()] == [0, Fraction(1, 5), Fraction(2, 5)]


def test_streams_without_a_clock_go_at_the_average_pace(tmp_path):
    path = record(tmp_path / 'a.h264', gradient(5))
    video = open_video(path)
    times = [frame.time for frame in video.frames()]
    assert times == [index / Fraction(video.fps) for index in range(5)]


def test_parts_that_an_edit_list_cuts_off_are_not_missed(tmp_path):
    """Trimmed videos from phones are like this: their header counts all frames."""
    path = record(tmp_path / 'a.mp4', gradient(50), gop_size=10, max_b_frames=0)
    data = bytearray(path.read_bytes())
    # One entry: the duration in milliseconds, then the start in units of 1/12800 s.
    place = data.index(b'elst') + 12
    assert struct.unpack_from('>Ii', data, place) == (2000, 0)
    struct.pack_into('>Ii', data, place, 1000, 512 * 15)
    path.write_bytes(data)
    times = [frame.time for frame in open_video(path).frames()]
    assert times == [Fraction(index, 25) for index in range(25)]


def test_sound_is_noticed(tmp_path):
    assert open_video(record(tmp_path / 'a.mp4', gradient(2), sound=beeps(0.1))).has_sound
    assert not open_video(record(tmp_path / 'b.mp4', gradient(2))).has_sound


def test_animations_are_videos(tmp_path, frames):
    path = write_video(frames, tmp_path / 'a.gif', fps=10)
    video = open_video(path)
    assert (video.width, video.height, video.fps) == (64, 48, 10)
    assert len(list(video.frames())) == 10


@pytest.mark.parametrize('size', [(1, 1), (1, 33), (33, 1)])
def test_one_pixel_and_one_frame(tmp_path, size):
    frame = gradient(1, *size)
    path = record(tmp_path / 'a.mov', frame, 'png', pixels='rgb24')
    np.testing.assert_array_equal(pixels_of(path), frame)
    own = open_video(write_video(frame, tmp_path / 'b.mp4', fps=8))
    assert [item.time for item in own.frames()] == [0]
    np.testing.assert_array_equal(pixels_of(np.stack(frame)), frame)


def test_images_in_a_list(frames):
    turned = Image.Exif()
    turned[0x0112] = 6
    images = [Image.fromarray(frame) for frame in frames]
    images[1] = Image.fromarray(np.rot90(frames[1]).copy())
    images[1].getexif().update(turned)
    images[2] = images[2].convert('RGBA')
    for source in (images, tuple(images)):
        video = open_video(source)
        assert (video.width, video.height, video.aspect) == (64, 48, 64 / 48)
        assert (video.fps, video.has_sound, video.recipe) == (None, False, [])
        for _ in range(2):
            read = list(video.frames())
            assert all(isinstance(frame, TimedFrame) and frame.time is None for frame in read)
            np.testing.assert_array_equal([frame.pixels for frame in read], frames)


def test_arrays_and_tensors_are_rgb_and_stay_as_they_are(frames):
    array = np.stack(frames)
    for source in (array, array[:, ::-1][:, ::-1], torch.from_numpy(array.copy())):
        video = open_video(source)
        assert (video.width, video.height, video.fps) == (64, 48, None)
        for frame, expected in zip(video.frames(), frames, strict=True):
            np.testing.assert_array_equal(frame.pixels, expected)
            frame.pixels[:] = 0
    np.testing.assert_array_equal(array, frames)


READ = """
import resource, sys
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import write_video

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def copied(count):
    video = open_video(sys.argv[1])
    frames = (frame.pixels for frame, _ in zip(video.frames(), range(count)))
    write_video(frames, sys.argv[2], fps=video.fps, sound=video)

copied(1000)
before = peak()
copied(10_000)
print(peak() - before)
"""


def test_ten_thousand_frames_stream_with_their_sound(tmp_path):
    blank = np.zeros((16, 64, 3), np.uint8)
    path = tmp_path / 'long.avi'
    record(path, [blank] * 10_000, 'mpeg4', fps=100, sound=beeps(100, 8000), sound_rate=8000, sound_codec='pcm_s16le')
    target = tmp_path / 'copy.mp4'
    command = [sys.executable, '-c', READ, str(path), str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * 1024, 'kilobytes; the frames alone would be 30 MB'
    assert sum(1 for _ in open_video(target).frames()) == 10_000


def test_nothing_is_left_in_the_temporary_folder(clip, clean_temp):
    open_video(clip.read_bytes())
    assert tempfile.gettempdir() == str(clean_temp)
