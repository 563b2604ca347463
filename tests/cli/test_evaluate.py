"""The verb ``evaluate`` on real files."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.cli.main import main
from modelscope_i2v.embedded import embedded_model
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import write_video
from modelscope_i2v.metrics import flicker, motion, psnr, sharpness, ssim
from tests.metrics.clips import moving_texture


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A picture, and videos that show it: moving, frozen, at half the size, shorter, and a single frame."""
    folder = tmp_path_factory.mktemp('videos')
    clip = moving_texture(2, count=6, height=64, width=64)
    Image.fromarray(clip[0]).save(folder / 'picture.png')
    small = [np.array(Image.fromarray(frame).resize((32, 32), Image.Resampling.BOX)) for frame in clip]
    videos = {'moving': clip, 'frozen': [clip[0]] * 6, 'small': small, 'short': clip[:4], 'single': clip[:1]}
    for name, frames in videos.items():
        write_video(iter(frames), folder / f'{name}.mp4', fps=8)
    return folder


@pytest.fixture
def cli(files, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.chdir(files)
        try:
            code = main(['evaluate', *map(str, arguments)])
        except SystemExit as left:
            code = left.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def pixels(path):
    return np.stack([frame.pixels for frame in open_video(path).frames()])


def test_a_video_of_its_picture(cli, files):
    code, out, err = cli('moving.mp4', '--image', 'picture.png', '--device', 'cpu', '--json')
    assert code == 0, err
    assert out.count('\n') == 1
    found = json.loads(out)
    clip = pixels(files / 'moving.mp4')
    similarity = found['image_video_similarity']
    assert 0.98 < similarity['first'] <= 1
    assert similarity['min'] <= similarity['mean'] < 1
    assert [found[key] for key in ('video', 'width', 'height', 'frames')] == ['moving.mp4', 64, 64, 6]
    assert found['motion']['flow'] == pytest.approx(2, rel=0.02)
    assert found['motion']['flow'] == pytest.approx(motion(clip).flow)
    assert found['flicker'] == pytest.approx(flicker(clip))
    assert found['sharpness'] == pytest.approx(sharpness(clip))
    assert found['frozen'] is False
    assert found['comparison'] is None
    assert 'warning' not in err


def test_a_video_against_its_source(cli, files):
    code, out, err = cli('moving.mp4', '--source', 'small.mp4', '--json')
    assert code == 0, err
    found = json.loads(out)['comparison']
    source, clip = pixels(files / 'small.mp4'), pixels(files / 'moving.mp4')
    assert found['psnr'] == pytest.approx(psnr(source, clip), abs=1e-3)
    assert found['ssim'] == pytest.approx(ssim(source, clip), abs=1e-5)
    assert (found['frames'], found['same_length']) == (6, True)
    assert found['similarity']['mean'] > 0.9


def test_equal_videos_and_strict_json(cli):
    code, out, err = cli('moving.mp4', '--source', 'moving.mp4', '--json')
    assert code == 0, err
    found = json.loads(out, parse_constant=lambda name: pytest.fail(f'{name} is no JSON'))['comparison']
    assert found['psnr'] is None
    assert found['ssim'] == pytest.approx(1, abs=1e-6)
    assert 'inf dB' in cli('moving.mp4', '--source', 'moving.mp4')[1]


def test_a_source_of_another_length_is_said(cli):
    code, out, err = cli('moving.mp4', '--source', 'short.mp4')
    assert code == 0
    assert 'first 4 frames' in err
    assert 'PSNR' in out


def test_a_single_frame(cli):
    code, out, err = cli('single.mp4')
    assert code == 0
    assert 'too few frames' in out
    assert 'nothing moves' in err


def test_a_frozen_clip_in_a_process_without_torchmetrics(files):
    program = (
        'import sys\n'
        'sys.modules["torchmetrics"] = None\n'  # as if it were not installed
        'import modelscope_i2v.cli.main as cli\n'
        'code = cli.main(["evaluate", "frozen.mp4", "--source", "small.mp4"])\n'
        'assert code == 1, code\n'
        'sys.exit(cli.main(["evaluate", "frozen.mp4", "--image", "picture.png"]))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program],
        capture_output=True,
        text=True,
        cwd=files,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Run pip install '.[train]' in a clone of modelscope_i2v." in done.stderr
    assert 'warning: nothing moves' in done.stderr
    assert 'Traceback' not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == 'frozen.mp4: 64x64, 6 frames'
    values = {line[:24].strip(): line[24:62].strip() for line in lines[1:]}
    assert values['motion coherence'] == '0.00000'
    assert float(values['motion'].split()[0]) < 0.05
    assert float(values['temporal consistency']) > 0.99
    assert values['image-video similarity'].startswith('mean 0.9') or 'mean 1.0' in values['image-video similarity']
    assert {'flicker', 'sharpness', 'frame difference'} <= set(values)


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['none.mp4', '--image', 'picture.png'], 1, 'none.mp4'),
        (['picture.png'], 1, 'not a video'),
        (['moving.mp4', '--image', 'none.png'], 1, 'none.png'),
        (['moving.mp4', '--source', 'none.mp4'], 1, 'none.mp4'),
        (['moving.mp4', '--device', 'cuda:77'], 1, 'cuda:77'),
        (['moving.mp4', '--model', 'no/such/folder'], 1, 'no/such/folder'),
        (['moving.mp4', '--model', 'nobody/nothing', '--offline'], 1, 'nobody/nothing'),
        (['moving.mp4', '--model-revision', 'v1'], 1, '--model'),
        ([], 2, 'VIDEO'),
    ],
)
def test_bad_usage_says_what_is_wrong(cli, arguments, code, message):
    found, out, err = cli(*arguments)
    assert found == code, err
    assert message in err
    assert 'Traceback' not in err
    assert out == ''


def test_a_model_of_the_other_stage_is_refused(cli):
    code, _, err = cli('moving.mp4', '--model', embedded_model('video-to-video'))
    assert code == 1
    assert 'image-to-video' in err
