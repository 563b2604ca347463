"""Several videos of one command, and the pictures that show them, on the small models of the first generation."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from benchmarks.first_generation import MODELS
from modelscope_i2v.cli.main import main
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import write_video
from tests.golden import DATA
from tests.media.clips import gradient

IMAGE = str(DATA / 'images' / 'gray_333x500.png')
FAST = ['--num-frames', '3', '--steps', '1', '--device', 'cpu', '--no-show-progress']
SMALL = ['--height', '32', '--width', '48', '--model', MODELS['image-to-video']]


@pytest.fixture(scope='module')
def three(tmp_path_factory):
    """The folder of three videos of one command, and what it printed."""
    folder = tmp_path_factory.mktemp('three')
    files = ['-o', folder / 'out.mp4', '--preview', folder / 'strip.png']
    assert main(['image-to-video', IMAGE, *map(str, files), '--seed', '5', '--variations', '3', *FAST, *SMALL]) == 0
    return folder


def frames_of(path):
    return [frame.pixels for frame in open_video(path).frames()]


def test_each_seed_makes_the_video_that_it_makes_alone(three, tmp_path):
    assert sorted(path.name for path in three.iterdir()) == [
        *(f'out-seed{seed}.mp4' for seed in (5, 6, 7)),
        'strip.png',
    ]
    assert [read_recipe(three / f'out-seed{seed}.mp4')[0]['seed'] for seed in (5, 6, 7)] == [5, 6, 7]
    assert main(['image-to-video', IMAGE, '-o', str(tmp_path / 'a.mp4'), '--seed', '6', *FAST, *SMALL]) == 0
    assert (tmp_path / 'a.mp4').read_bytes() == (three / 'out-seed6.mp4').read_bytes()


def test_a_list_of_seeds_is_the_same_and_reported_as_one_line_of_json(three, tmp_path, capsys):
    out = str(tmp_path / 'a.mp4')
    assert main(['image-to-video', IMAGE, '-o', out, '--seed', '7,5', '--json', *FAST, *SMALL]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first == {'output_video': str(tmp_path / 'a-seed7.mp4'), 'seed': 7, 'model_revision': None}
    assert second['seed'] == 5
    assert (tmp_path / 'a-seed5.mp4').read_bytes() == (three / 'out-seed5.mp4').read_bytes()


def test_the_preview_has_a_row_for_each_seed_the_picture_first(three):
    drawn = np.asarray(Image.open(three / 'strip.png'))
    height, width, gap = 171, 256, 4  # cells of 48x32, as large as they are drawn
    assert drawn.shape == (3 * (height + gap) - gap, 4 * (width + gap) - gap, 3)
    with Image.open(IMAGE) as opened:
        given = opened.convert('RGB').resize((8, 12))
    for row, seed in enumerate((5, 6, 7)):
        cells = [
            drawn[row * (height + gap) :][:height, column * (width + gap) :][:, :width].astype(int)
            for column in range(4)
        ]
        # 333x500 in a cell of 256x171: 114 pixels wide, in the middle.
        picture = Image.fromarray(cells[0][:, 71:185].astype(np.uint8)).resize((8, 12))
        assert np.abs(np.asarray(picture).astype(int) - np.asarray(given)).max() <= 12
        assert (cells[0][:, :70] == 255).all()
        for cell, frame in zip(cells[1:], frames_of(three / f'out-seed{seed}.mp4'), strict=True):
            assert np.array_equal(cell[80, 128], frame[15, 24])  # the pixel that is enlarged there


def test_one_variation_and_one_seed_keep_the_name(tmp_path):
    out = str(tmp_path / 'a.mp4')
    assert main(['image-to-video', IMAGE, '-o', out, '--variations', '1', '--seed', '5', *FAST, *SMALL]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ['a.mp4']


def test_variations_without_a_seed_count_up_from_a_random_one(tmp_path, capsys):
    out = str(tmp_path / 'a.webp')
    assert main(['image-to-video', IMAGE, '-o', out, '--variations', '2', '--json', *FAST, *SMALL]) == 0
    one, other = (result['seed'] for result in json.loads(capsys.readouterr().out))
    assert other == one + 1
    assert {path.name for path in tmp_path.iterdir()} == {f'a-seed{one}.webp', f'a-seed{other}.webp'}


def test_a_chain_of_several_seeds(tmp_path, capsys):
    size = ['--stage1-height', '32', '--stage1-width', '48', '--height', '64']
    size += ['--model', MODELS['image-to-video'], '--stage2-model', MODELS['video-to-video']]
    out, kept, side, strip = (str(tmp_path / name) for name in ('out.mp4', 'low.mp4', 'side.mp4', 'strip.jpg'))
    files = ['-o', out, '--keep-stage1', kept, '--compare', side, '--preview', strip, '--seed', '1,2']
    assert main(['chain', IMAGE, *files, '--json', *FAST, *size]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [(result['stage1']['seed'], result['seed']) for result in results] == [(1, 1), (2, 2)]
    assert results[1]['stage1']['output_video'] == str(tmp_path / 'low-seed2.mp4')
    for seed in (1, 2):
        assert [entry['seed'] for entry in read_recipe(tmp_path / f'out-seed{seed}.mp4')] == [seed, seed]
        info = probe_video(tmp_path / f'side-seed{seed}.mp4')
        assert (info.width, info.height, info.frames, info.fps) == (192, 64, 3, 8)
    with Image.open(strip) as drawn:
        assert drawn.size == (4 * 260 - 4, 2 * 175 - 4)
    assert main(['chain', IMAGE, '-o', str(tmp_path / 'alone.mp4'), '--seed', '2', *FAST, *size]) == 0
    assert (tmp_path / 'alone.mp4').read_bytes() == (tmp_path / 'out-seed2.mp4').read_bytes()
    assert main(['chain', IMAGE, '-o', out, '--seed', '3,4', '--stage1-seed', '2', '--json', *FAST, *size]) == 0
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(result['stage1']['seed'], result['seed']) for result in results] == [(2, 3), (2, 4)]
    assert results[0]['stage1']['output_video'] is None


def test_before_and_after(tmp_path):
    low = write_video(gradient(3, 32, 48), tmp_path / 'low.mp4', fps=12.5)
    out, side, strip = (str(tmp_path / name) for name in ('out.mp4', 'side.mp4', 'strip.png'))
    files = ['-o', out, '--compare', side, '--preview', strip]
    assert main(['video-to-video', low, *files, '--steps', '1', '--height', '64', *FAST[4:]]) == 0
    info = probe_video(side)
    assert (info.width, info.height, info.frames, info.fps, info.has_audio) == (192, 64, 3, 12.5, False)
    for both, before, after in zip(frames_of(side), frames_of(low), frames_of(out), strict=True):
        enlarged = np.asarray(Image.fromarray(before).resize((96, 64), Image.Resampling.BICUBIC))
        assert np.abs(both[4:-4, 4:92].astype(int) - enlarged[4:-4, 4:92]).mean() < 6
        assert np.abs(both[4:-4, 100:-4].astype(int) - after[4:-4, 4:-4]).mean() < 6
    first = np.asarray(Image.open(strip))[:, :256].astype(int)
    assert np.abs(first[80, 128] - frames_of(low)[0][15, 24]).max() <= 8


def test_the_sheet_of_a_file(tmp_path, capsys):
    video = write_video(gradient(5, 48, 64), tmp_path / 'a.mp4', fps=8)
    assert main(['info', video, '--sheet', str(tmp_path / 'sheet.png')]) == 0
    assert '64x48, 5 frames' in capsys.readouterr().out
    drawn = np.asarray(Image.open(tmp_path / 'sheet.png'))
    assert drawn.shape == (2 * 52 - 4, 3 * 68 - 4, 3)
    last = drawn[52:, 68:][:48, :64]
    assert np.array_equal(last, frames_of(video)[4])


@pytest.mark.parametrize(
    ('arguments', 'code', 'said'),
    [
        (['--seed', '1,2', '--variations', '2'], 1, "'--variations' counts up from one seed, but '--seed' has 2"),
        (['--seed', '1,2,1'], 1, "'--seed' has 1 twice"),
        (['--seed', '1,-2'], 1, "'seed' must be a whole number from 0"),
        (['--seed', '1,'], 2, "argument --seed: must be a whole number, or several as in 1,2,3, found '1,'"),
        (['--seed', ','.join(map(str, range(101)))], 1, "'--seed' has 101 seeds; at most 100 are taken"),
        (['--variations', '0'], 1, "'variations' must be a whole number from 1 to 100"),
        (['--variations', '2', '--seed', str(2**63 - 1)], 1, "'seed' must be a whole number from 0"),
        (['--preview', 'a.gif'], 1, 'Use .png, .jpg'),
        (['--preview', 'a.png', '-o', 'x.webp', '--keep-stage1', 'x.webp'], 1, "'--keep-stage1' and '--output' are"),
        (['--compare', './out.mp4'], 1, "'--compare' and '--output' are the same file"),
        (['--compare', 'a.png'], 1, "'a.png' ends in '.png', which is not supported"),
        (['--preview', 'in.png'], 1, "'--preview' and the input are the same file"),
        (['--seed', '1,2', '--stage1-seed', '3', '--stage2-seed', '4'], 1, 'would give the same video'),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_loaded(tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    shutil.copy(IMAGE, 'in.png')
    try:
        found = main(['chain', 'in.png', '-o', 'out.mp4', '--model', 'no/such/model', *arguments])
    except SystemExit as left:
        found = left.code
    assert found == code
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['in.png']


def test_the_input_is_not_overwritten_before_it_is_compared(tmp_path, capsys):
    video = tmp_path / 'a.mp4'
    write_video(gradient(2, 32, 48), video, fps=8)
    before = video.read_bytes()
    assert main(['video-to-video', str(video), '-o', str(video), '--compare', str(tmp_path / 'b.mp4')]) == 1
    assert "'--output' and the input are the same file" in capsys.readouterr().err
    assert video.read_bytes() == before


def test_there_is_nothing_to_compare_with_a_picture(capsys):
    with pytest.raises(SystemExit) as left:
        main(['image-to-video', 'in.png', '-o', 'out.mp4', '--compare', 'side.mp4'])
    assert left.value.code == 2
    assert "'--compare'. It is an option of the verbs video-to-video and chain" in capsys.readouterr().err
