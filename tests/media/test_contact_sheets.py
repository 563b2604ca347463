"""Contact sheets and comparisons: known colours come back from known places."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import OutputError
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing import sheet
from modelscope_i2v.media.writing.comparison import write_comparison
from modelscope_i2v.media.writing.sheet import check_picture, contact_sheet, save_picture, spaced_frames, video_sheet
from modelscope_i2v.media.writing.write import write_video
from tests.media.clips import gradient, record


def greys(count, height=20, width=30):
    """Frame n has the value n everywhere."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, height, width, 3))


def values(frames):
    return [int(np.asarray(frame)[0, 0, 0]) for frame in frames]


@pytest.mark.parametrize(
    ('count', 'wanted', 'shown'),
    [
        (32, 6, [0, 6, 12, 19, 25, 31]),
        (5, 5, [0, 1, 2, 3, 4]),
        (3, 6, [0, 1, 2]),
        (1, 6, [0]),
        (9, 1, [0]),
        (200, 3, [0, 100, 199]),
    ],
)
def test_frames_are_evenly_spaced_from_the_first_to_the_last(count, wanted, shown):
    assert values(spaced_frames(open_video(greys(count)), wanted, 10)) == shown


def test_a_long_video_keeps_its_first_and_last_frame_and_few_in_memory(monkeypatch):
    monkeypatch.setattr(sheet, '_HELD', 8)
    chosen = values(spaced_frames(open_video(greys(250)), 5, 10))
    assert (chosen[0], chosen[-1]) == (0, 249)
    assert np.abs(np.subtract(chosen, [0, 62, 125, 187, 249])).max() <= 16


def test_frames_are_reduced_and_never_enlarged_and_keep_the_aspect_as_displayed(tmp_path):
    assert spaced_frames(open_video(greys(1, 20, 40)), 1, 10)[0].size == (10, 5)
    assert spaced_frames(open_video(greys(1, 20, 40)), 1, 100)[0].size == (40, 20)
    wide = record(tmp_path / 'a.mp4', gradient(2, 48, 64), sample_aspect_ratio=Fraction(2, 1))
    assert open_video(wide).aspect == pytest.approx(128 / 48)
    assert spaced_frames(open_video(wide), 1, 64)[0].size == (64, 24)


def test_cells_are_where_they_should_be():
    red, blue = (Image.new('RGB', (4, 4), colour) for colour in ('red', 'blue'))
    wide = Image.new('RGB', (200, 100), 'lime')
    drawn = np.asarray(contact_sheet([[red, blue], [wide]], (8, 8), 2))
    assert drawn.shape == (18, 18, 3)
    assert (drawn[:8, :8] == (255, 0, 0)).all()
    assert (drawn[:8, 10:] == (0, 0, 255)).all()
    assert (drawn[12:16, :8] == (0, 255, 0)).all()  # in the middle, and white above and below
    white = np.ones((18, 18), bool)
    for rows, columns in ((slice(0, 8), slice(0, 8)), (slice(0, 8), slice(10, 18)), (slice(12, 16), slice(0, 8))):
        white[rows, columns] = False
    assert (drawn[white] == 255).all()


def test_the_sheet_of_a_video_is_about_a_square():
    drawn = np.asarray(video_sheet(open_video(greys(7)), 30, 1))
    assert drawn.shape == (3 * 21 - 1, 3 * 31 - 1, 3)
    assert [int(drawn[21 * (n // 3), 31 * (n % 3), 0]) for n in range(9)] == [0, 1, 2, 3, 4, 5, 6, 255, 255]
    assert video_sheet(open_video(greys(130)), 30).size == (8 * 30, 8 * 20)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.JPEG', '.webp'])
def test_pictures_are_written_whole_in_the_format_of_the_name(tmp_path, suffix):
    save_picture(Image.new('RGB', (8, 6), 'red'), tmp_path / 'new' / f'a{suffix}')
    with Image.open(tmp_path / 'new' / f'a{suffix}') as read:
        assert (read.format, read.size) == (sheet.FORMATS[suffix.lower()], (8, 6))
        assert np.abs(np.subtract(read.convert('RGB').getpixel((3, 3)), (255, 0, 0))).max() < 8
    assert len(list((tmp_path / 'new').iterdir())) == 1


@pytest.mark.parametrize(
    ('name', 'said'), [('a.gif', 'Use .png, .jpg, .jpeg, .webp'), ('a', "ends in ''"), ('', 'is a folder')]
)
def test_pictures_that_cannot_be_written(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=said):
        check_picture(name)
    with pytest.raises(OutputError, match=said):
        save_picture(Image.new('RGB', (8, 6)), name)
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_has_before_on_the_left_and_after_on_the_right(tmp_path):
    before, after = greys(4, 24, 32) + np.uint8(40), greys(3, 48, 64) + np.uint8(200)
    times = [Fraction(0), Fraction(1, 4), Fraction(1)]
    high = write_video(after, tmp_path / 'high.mp4', fps=3, times=times, last_duration=Fraction(1, 2))
    written = write_comparison(open_video(before), open_video(high), tmp_path / 'side.mp4')
    frames = list(open_video(written).frames())
    assert [frame.pixels.shape for frame in frames] == [(48, 128, 3)] * 3
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.25, 1], abs=1e-3)
    for number, frame in enumerate(frames):
        assert np.abs(frame.pixels[:, :60].astype(int) - (40 + number)).max() <= 3
        assert np.abs(frame.pixels[:, 68:].astype(int) - (200 + number)).max() <= 3


def test_a_comparison_of_frames_in_memory_has_one_frame_a_second(tmp_path):
    video = open_video(greys(3, 24, 32))
    read = open_video(write_comparison(video, video, tmp_path / 'side.mp4'))
    assert (read.width, read.height, read.fps) == (64, 24, 1)
