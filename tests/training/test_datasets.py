import logging
import pickle

import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import write_video
from modelscope_i2v.training.data.datasets import ClipDataset, ClipSettings, usable_examples
from modelscope_i2v.training.data.frame_index import index_frames
from modelscope_i2v.training.data.sources import Example
from tests.media.clips import gradient, record
from tests.training.clips import numbered, numbers, write_numbered


def dataset(*examples, **settings):
    """Clips of paths or examples, 24 x 32 by default."""
    kinds = {'.png': 'image', '.jpg': 'image'}
    found = [e if isinstance(e, Example) else Example(e, kinds.get(e.suffix, 'video')) for e in examples]
    return ClipDataset(found, ClipSettings(**{'height': 24, 'width': 32, **settings}))


def every(count, step, start=0):
    return [int(start + index * step + 1e-6) for index in range(count)]


def test_a_video_is_sampled_by_its_clock(tmp_path):
    path = write_numbered(tmp_path / 'v.mp4', 50, fps=30)
    clips = dataset(path, num_frames=8, fps=8)
    starts = set()
    for epoch in range(15):
        clip = clips.clip(0, epoch)
        found = numbers(clip.frames)
        assert clip.frames.shape == (8, 24, 32, 3)
        assert clip.frames.dtype == np.uint8
        assert found == every(8, 3.75, found[0])
        starts.add(found[0])
    # 7 / 8 s are 26.25 frames: the last of 50 frames at which a clip can begin is 23.
    assert starts <= set(range(24))
    assert len(starts) > 5


def test_every_start_that_fits_is_drawn_and_no_other(tmp_path):
    path = write_numbered(tmp_path / 'v.mp4', 10, fps=8)
    clips = dataset(path, num_frames=8, fps=8)
    assert {numbers(clips.clip(0, epoch).frames)[0] for epoch in range(20)} == {0, 1, 2}
    exact = dataset(path, num_frames=10, fps=8)
    assert numbers(exact.clip(0, 5).frames) == list(range(10))


def test_a_variable_rate_shows_each_frame_as_long_as_the_file_does(tmp_path):
    times = [0, 0.1, 0.2, 1.0, 1.1, 2.0]
    write_video(numbered(6), tmp_path / 'v.mp4', fps=2, times=times)
    clips = dataset(tmp_path / 'v.mp4', num_frames=5, fps=2)
    found = {tuple(numbers(clips.clip(0, epoch).frames)) for epoch in range(15)}
    # Every half second, starting at 0, 0.1 and 0.2 s; the last frame is shown until 2.5 s.
    assert found == {(0, 2, 3, 4, 5), (1, 2, 4, 4, 5), (2, 2, 4, 4, 5)}


def test_milliseconds_do_not_shift_frames(tmp_path):
    path = record(tmp_path / 'v.webm', numbered(40), codec='libvpx-vp9', fps=30)
    clips = dataset(path, num_frames=8, fps=15)
    for epoch in range(5):
        found = numbers(clips.clip(0, epoch).frames)
        assert found == every(8, 2, found[0])


def test_a_part_of_a_video(tmp_path):
    path = write_numbered(tmp_path / 'v.mp4', 40, fps=8)
    clips = dataset(Example(path, 'video', 'a fox', 2.0, 3.25), num_frames=8, fps=8)
    found = [clips.clip(0, epoch) for epoch in range(20)]
    assert {numbers(clip.frames)[0] for clip in found} == {16, 17, 18}
    assert found[0].text == 'a fox'
    with pytest.raises(InputError, match=r"v\.mp4'.*2 s to 2\.5 s"):
        dataset(Example(path, 'video', '', 2.0, 2.5), num_frames=8).clip(0)


def test_only_rates_that_fit_are_drawn(tmp_path):
    path = write_numbered(tmp_path / 'v.mp4', 20, fps=10)
    rates = [clip.fps for clip in (dataset(path, num_frames=8, fps=[2, 4, 10, 30]).clip(0, e) for e in range(12))]
    # 8 frames at 2 per second need 3.5 s, longer than the video; 30 per second would repeat frames.
    assert set(rates) == {4.0, 10.0}
    clips = dataset(path, num_frames=8, fps=[4, 10])
    for epoch in range(5):
        clip = clips.clip(0, epoch)
        found = numbers(clip.frames)
        assert found == every(8, 10 / clip.fps, found[0])


@pytest.mark.parametrize('settings', [{'num_frames': 21}, {'num_frames': 5, 'fps': 25}, {'num_frames': 8, 'fps': 2}])
def test_a_video_that_cannot_give_the_clip_is_named(tmp_path, settings):
    path = write_numbered(tmp_path / 'short.mp4', 20, fps=10)
    with pytest.raises(InputError, match=r"short\.mp4' is too short or too slow.*2 s, 10 frames per second"):
        dataset(path, **{'fps': 10, **settings}).clip(0)


def test_clips_are_pure_functions(tmp_path):
    write_video(gradient(40), tmp_path / 'v.mp4', fps=24)
    paths = [write_numbered(tmp_path / 'other.mp4', 40, fps=24), tmp_path / 'v.mp4']
    settings = {'num_frames': 4, 'width': 24, 'flip': 0.5, 'fps': [8, 12]}
    first, again = dataset(*paths, **settings), pickle.loads(pickle.dumps(dataset(*paths, **settings)))
    clips = {epoch: first.clip(1, epoch) for epoch in (0, 1, 2)}
    for epoch in (2, 0, 1):
        clip = again.clip(1, epoch)
        assert np.array_equal(clip.frames, clips[epoch].frames)
        assert clip.fps == clips[epoch].fps
    assert not np.array_equal(clips[0].frames, clips[1].frames)
    assert not np.array_equal(dataset(*paths, seed=1, **settings).clip(1).frames, clips[0].frames)
    # Other files before it do not change the clips of this one.
    assert np.array_equal(dataset(paths[1], **settings).clip(0).frames, clips[0].frames)


def test_the_middle_of_a_long_video_is_what_a_full_reading_gives(tmp_path):
    path = record(tmp_path / 'v.mp4', gradient(120), fps=24, gop_size=10)
    index = index_frames(path)
    frames = [frame.pixels for frame in open_video(path).frames()]
    wanted = [47, 48, 48, 60, 119]
    found = index.read(wanted, lambda pixels: pixels)
    assert all(np.array_equal(frame, frames[number]) for frame, number in zip(found, wanted, strict=True))
    assert np.allclose(index.times, np.arange(120) / 24)
    assert index.end == pytest.approx(5)


@pytest.mark.parametrize(('name', 'stamped'), [('v.h264', False), ('v.mkv', True), ('v.mov', True)])
def test_containers_with_and_without_time_stamps(tmp_path, name, stamped):
    path = record(tmp_path / name, numbered(30), fps=25, max_b_frames=2)
    assert (index_frames(path).stamps is not None) == stamped
    clips = dataset(path, num_frames=5, fps=12.5)
    for epoch in range(5):
        found = numbers(clips.clip(0, epoch).frames)
        assert found == every(5, 2, found[0])


def disc(height, width, radius):
    y, x = np.mgrid[0:height, 0:width]
    inside = (y - height / 2 + 0.5) ** 2 + (x - width / 2 + 0.5) ** 2 < radius**2
    return np.where(inside[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)


@pytest.mark.parametrize(('height', 'width'), [(120, 240), (240, 120), (96, 96)])
def test_a_circle_stays_a_circle(tmp_path, height, width):
    # The clip is square, so it shows the middle of the wide and of the tall picture.
    Image.fromarray(disc(height, width, 30)).save(tmp_path / 'disc.png')
    clip = dataset(tmp_path / 'disc.png', height=48, width=48, crop='center').clip(0)
    radius = 30 * 48 / min(height, width)
    assert clip.frames.shape == (1, 48, 48, 3)
    assert np.abs(clip.frames[0].astype(int) - disc(48, 48, radius)).mean() < 4
    mask = clip.frames[0, ..., 0] > 127
    assert mask.any(axis=0).sum() == mask.any(axis=1).sum() == pytest.approx(2 * radius, abs=1)


def test_pixels_that_are_not_square_are_shown_as_they_should(tmp_path):
    squeezed = np.asarray(Image.fromarray(disc(96, 192, 30)).resize((96, 96)))
    path = record(tmp_path / 'v.mp4', [squeezed] * 3, fps=8, sample_aspect_ratio=2)
    frame = dataset(path, num_frames=2, height=48, width=48, crop='center').clip(0).frames[0]
    mask = frame[..., 0] > 127
    assert mask.any(axis=0).sum() == pytest.approx(30, abs=1)
    assert mask.any(axis=1).sum() == pytest.approx(30, abs=1)


def test_fine_stripes_become_gray_not_moire(tmp_path):
    stripes = np.zeros((240, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / 'stripes.png')
    clip = dataset(tmp_path / 'stripes.png').clip(0)
    assert np.abs(clip.frames.astype(int) - 128).max() <= 8


def test_random_crops_move_within_the_frame_and_centre_crops_do_not(tmp_path):
    ramp = np.zeros((30, 240, 3), np.uint8)
    ramp[:] = np.arange(240, dtype=np.uint8)[None, :, None]
    Image.fromarray(ramp).save(tmp_path / 'ramp.png')
    size = {'height': 30, 'width': 40}

    def left_edges(**settings):
        clips = dataset(tmp_path / 'ramp.png', **size, **settings)
        return np.array([clips.clip(0, epoch).frames[0, 15, 1, 0] for epoch in range(60)]) - 1

    assert set(left_edges(crop='center')) == {100}
    edges = left_edges(crop='random')
    assert edges.min() < 20
    assert edges.max() > 180
    flipped = dataset(tmp_path / 'ramp.png', crop='center', flip=1.0, **size).clip(0)
    plain = dataset(tmp_path / 'ramp.png', crop='center', **size).clip(0)
    assert np.array_equal(flipped.frames, plain.frames[:, :, ::-1])


def test_pictures_of_a_video_are_any_of_its_frames(tmp_path):
    path = write_numbered(tmp_path / 'v.mp4', 3, fps=8)
    clips = dataset(path, num_frames=99)
    pictures = [clips.picture(0, epoch) for epoch in range(20)]
    assert {number for picture in pictures for number in numbers(picture.frames)} == {0, 1, 2}
    assert {picture.frames.shape for picture in pictures} == {(1, 24, 32, 3)}


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / 'v.mp4'
    write_video(np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8), path, fps=8)
    whole = path.read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'noise.mp4').write_bytes(b'no video at all' * 100)
    (tmp_path / 'noise.png').write_bytes(b'no picture at all' * 100)
    for name in ('cut.mp4', 'noise.mp4', 'noise.png', 'gone.mp4', 'gone.png'):
        with pytest.raises(InputError, match=name.replace('.', r'\.')):
            dataset(tmp_path / name, num_frames=2).clip(0)


def test_damage_in_the_middle_is_found_where_it_is_used(tmp_path):
    path = tmp_path / 'v.mp4'
    write_video(np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8), path, fps=8)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 4] = bytes(len(content) // 4)
    path.write_bytes(content)
    index = index_frames(path)
    assert index.read([0, 1], lambda pixels: pixels).shape == (2, 48, 64, 3)
    with pytest.raises(InputError, match=r'v\.mp4.*damaged'):
        index.read(list(range(20)), lambda pixels: pixels)


def test_what_is_not_wanted_is_not_decoded(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), np.uint8)
    path = record(tmp_path / 'v.mp4', list(noise), fps=8, gop_size=10)
    whole = index_frames(path).read([32, 34], lambda pixels: pixels)
    content = bytearray(path.read_bytes())
    start, length = len(content) // 8, len(content) // 4
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    index = index_frames(path)
    assert np.array_equal(index.read([32, 34], lambda pixels: pixels), whole)
    with pytest.raises(InputError, match=r'v\.mp4.*damaged'):
        index.read([2, 8, 12], lambda pixels: pixels)


def test_what_cannot_be_used_is_left_out_with_a_warning(tmp_path, caplog):
    good = Example(write_numbered(tmp_path / 'good.mp4', 20, fps=8), 'video')
    short = Example(write_numbered(tmp_path / 'short.mp4', 3, fps=8), 'video')
    (tmp_path / 'noise.png').write_bytes(b'no picture at all' * 100)
    noise = Example(tmp_path / 'noise.png', 'image')
    with caplog.at_level(logging.WARNING):
        assert usable_examples([short, good, noise], ClipSettings()) == [good]
    assert [name in caplog.text for name in ('good.mp4', 'short.mp4', 'noise.png')] == [False, True, True]
    with pytest.raises(InputError, match=r'None of the 2 examples.*short\.mp4'):
        usable_examples([short, noise], ClipSettings())


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'num_frames': 0}, "'num_frames'.*at least 1, found 0"),
        ({'height': 2.5}, "'height'"),
        ({'width': -8}, "'width'"),
        ({'fps': []}, "'fps'.*non-empty"),
        ({'fps': [8, 0]}, "'fps'.*at least 0.001"),
        ({'crop': 'centre'}, "'crop' must be one of 'center', 'random', found 'centre'. Did you mean 'center'?"),
        ({'flip': 2}, "'flip'.*at most 1"),
        ({'seed': -1}, "'seed'"),
    ],
)
def test_impossible_settings_are_named(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        ClipSettings(**settings)
