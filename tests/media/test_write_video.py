"""Written videos, decoded again."""

import itertools
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from modelscope_i2v.media.writing.write import encode_video, write_video

ROOT = Path(__file__).parents[2]


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)])


def boxes(data):
    """The names of the top-level boxes of an MP4 in order; they must fill the file exactly."""
    names, position = [], 0
    while position < len(data):
        names.append(data[position + 4 : position + 8].decode())
        position += int.from_bytes(data[position : position + 4], 'big')
    assert position == len(data)
    return names


@pytest.mark.parametrize('name', ['a.mp4', 'a.m4v', 'a.mov', 'no suffix', 'A.MP4', 'new/folder/a.mp4'])
def test_the_file_holds_what_was_written(tmp_path, frames, name):
    path = tmp_path / name
    assert write_video(iter(frames), path, fps=8, recipe=[{'seed': 1}]) == str(path)
    info = probe_video(path)
    assert (info.width, info.height, info.frames, info.fps) == (64, 48, 10, 8.0)
    assert (info.codec, info.pixel_format, info.has_audio) == ('h264', 'yuv420p', False)
    assert info.duration == pytest.approx(1.25)
    order = boxes(path.read_bytes())
    assert order.index('moov') < order.index('mdat')
    assert np.abs(decoded(path).astype(int) - np.stack(frames)).mean() < 3
    assert read_recipe(path) == [{'version': 1, 'seed': 1}]


def test_colours_are_bt709_and_come_back(tmp_path):
    path = tmp_path / 'a.mp4'
    for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 30, 90), (12, 130, 250)]:
        write_video([np.full((32, 48, 3), colour, np.uint8)] * 3, path, fps=8)
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
            luma = np.frombuffer(next(container.decode(video=0)).planes[0], np.uint8)[0]
        assert tags == (1, 1, 1, 1)
        assert luma == pytest.approx(16 + 219 / 255 * np.dot((0.2126, 0.7152, 0.0722), colour), abs=1.5)
        assert np.abs(decoded(path).astype(int) - colour).max() <= 3


@pytest.mark.parametrize('size', [(1, 1), (1, 2), (3, 1), (17, 31), (2, 301), (5, 16384)])
def test_odd_sizes_repeat_the_last_row_and_column(tmp_path, size):
    height, width = size
    image = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    path = tmp_path / 'a.mp4'
    write_video([np.repeat(image[..., None], 3, axis=2)] * 2, path, fps=8, crf=1)
    result = decoded(path)[0].astype(int)
    assert result.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(result[:height, :width].mean(axis=2) - image).max() <= 12
    if height % 2:
        assert np.abs(result[-1] - result[-2]).max() <= 6


@pytest.mark.parametrize(
    ('fps', 'read'),
    [
        (29.97, 29.97),
        (30000 / 1001, Fraction(30000, 1001)),
        (Fraction(24000, 1001), Fraction(24000, 1001)),
        (np.float32(12.5), 12.5),
        (np.int64(25), 25),
        (0.001, 0.001),
        (0.5, 0.5),
        (1000, 1000),
    ],
)
def test_frame_rates(tmp_path, frames, fps, read):
    info = probe_video(write_video(frames[:3], tmp_path / 'a.mp4', fps=fps))
    assert info.fps == float(read)
    assert info.frames == 3
    assert info.duration == pytest.approx(3 / float(read), rel=0.01)


@pytest.mark.parametrize('fps', [0, -8, float('nan'), float('inf'), 1001, 1e-9, '8', None, True, 1j, [8]])
def test_bad_frame_rates(tmp_path, frames, fps):
    with pytest.raises(InputError, match='fps must be'):
        write_video(frames, tmp_path / 'a.mp4', fps=fps)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('crf', [0, -1, 52, 17.5, '17', None, True])
def test_bad_quality(tmp_path, frames, crf):
    with pytest.raises(InputError, match='crf must be'):
        write_video(frames, tmp_path / 'a.mp4', fps=8, crf=crf)


def test_quality_changes_the_size(frames):
    assert len(encode_video(frames, fps=8, crf=1)) > len(encode_video(frames, fps=8, crf=40))


GOOD = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ('bad', 'told'),
    [
        ([], 'no frames'),
        (np.zeros((0, 8, 8, 3), np.uint8), 'no frames'),
        (5, 'iterator, found int'),
        ([GOOD, np.zeros((8, 10, 3), np.uint8)], r'Frame 1 has the shape \[8, 10, 3\]'),
        ([GOOD.astype(np.float32)], 'Frame 0 is float32'),
        ([GOOD, GOOD[..., 0]], r'Frame 1 is uint8 of shape \[8, 8\]'),
        ([np.zeros((8, 8, 4), np.uint8)], r'\[8, 8, 4\]'),
        ([np.zeros((0, 8, 3), np.uint8)], r'\[0, 8, 3\]'),
        ([Image.new('RGB', (8, 8))], 'Frame 0 has type Image'),
        ([None], 'Frame 0 has type NoneType'),
        ([np.zeros((2, 16385, 3), np.uint8)], 'too large'),
    ],
)
@pytest.mark.parametrize('suffix', ['.mp4', '.webp'])
def test_bad_frames(tmp_path, bad, told, suffix):
    with pytest.raises(InputError, match=told):
        write_video(bad, tmp_path / f'a{suffix}', fps=8)
    assert list(tmp_path.iterdir()) == []


def test_frames_are_streamed_not_collected(tmp_path):
    """All frames share one buffer, so each frame must be used before the next one is requested."""

    def stream():
        buffer = np.empty((16, 16, 3), np.uint8)
        for level in range(0, 250, 50):
            buffer[:] = level
            yield buffer

    for name in ('a.mp4', 'a.gif'):
        write_video(stream(), tmp_path / name, fps=8)
        assert np.abs(decoded(tmp_path / name)[:, 8, 8, 0].astype(int) - range(0, 250, 50)).max() <= 3


def test_an_array_of_frames_and_views_will_do(tmp_path, frames):
    video = np.stack(frames)
    assert encode_video(video, fps=8) == encode_video(frames, fps=8)
    assert encode_video(video[:, ::-1, ::-1, ::-1], fps=8) == encode_video(video[:, ::-1, ::-1, ::-1].copy(), fps=8)


def test_equal_input_gives_equal_bytes(tmp_path, frames, clean_temp):
    recipe = [{'stage': 'image-to-video', 'prompt': 'Füchse im Schnee 雪'}]
    once, again = (encode_video(frames, fps=8, recipe=recipe) for _ in range(2))
    path = write_video(iter(frames), tmp_path / 'other name.mov', fps=8.0, recipe=recipe)
    assert once == again == (tmp_path / 'other name.mov').read_bytes()
    assert read_recipe(path)[0]['prompt'] == 'Füchse im Schnee 雪'


# x264's mbtree reads memory that was never written; glibc fills it with a different byte in every run.
ENCODE = """
import hashlib, sys
import numpy as np
from modelscope_i2v.media.writing.write import encode_video
y, x = np.mgrid[0:112, 0:112]
frames = [np.stack([x * 4, y * 5, x * 0 + 25 * i], axis=-1).astype(np.uint8) for i in range(10)]
sys.stdout.write(hashlib.sha256(encode_video(frames, fps=8)).hexdigest())
"""


def test_the_bytes_do_not_depend_on_what_was_in_memory_before():
    runs = []
    for filling in ('85', '255'):
        environment = {**os.environ, 'MALLOC_PERTURB_': filling, 'PYTHONPATH': str(ROOT)}
        runs.append(subprocess.Popen([sys.executable, '-c', ENCODE], env=environment, stdout=subprocess.PIPE))
    digests = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert digests[0] == digests[1]


@pytest.mark.parametrize('kind', ['gif', 'webp'])
def test_animations_loop_at_the_right_pace(tmp_path, frames, kind):
    path = tmp_path / f'a.{kind}'
    write_video(frames, path, fps=8)
    with Image.open(path) as image:
        assert (image.format, image.size, image.n_frames) == (kind.upper(), (64, 48), 10)
        assert image.info['loop'] == 0
        durations = []
        for index in range(10):
            image.seek(index)
            image.load()
            durations.append(image.info['duration'])
            difference = np.asarray(image.convert('RGB')).astype(int) - frames[index]
            assert np.abs(difference).mean() < 8
    assert sum(durations) == 1250
    assert max(durations) - min(durations) <= 10


def test_a_gif_carries_the_recipe_and_plays_at_most_50_frames_a_second(tmp_path, frames):
    path = write_video(frames, tmp_path / 'a.gif', fps=100, recipe=[{'text': 'é' * 300}])
    assert read_recipe(path) == [{'version': 1, 'text': 'é' * 300}]
    with Image.open(path) as image:
        assert image.info['duration'] == 20


def test_importing_is_cheap():
    program = (
        'import sys, torch, modelscope_i2v; before = set(sys.modules)  # torch imports some of these itself\n'
        'from modelscope_i2v.media import recipe; from modelscope_i2v.media.images import load; '
        'from modelscope_i2v.media.reading import info; from modelscope_i2v.media.writing import write\n'
        'heavy = {"torch", "av", "imageio", "cv2", "urllib.request"}\n'
        'sys.exit(len(heavy & (set(sys.modules) - before)))'
    )
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_printed(tmp_path, frames, capfd):
    write_video(itertools.islice(frames, 3), tmp_path / 'a.mp4', fps=8)
    assert capfd.readouterr() == ('', '')
