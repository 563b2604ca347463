"""Calls that no machine has the memory for are refused before anything is loaded."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import modelscope_i2v
from benchmarks.first_generation import FIRST_GENERATION
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import DeviceError
from modelscope_i2v.media.reading.info import read_recipe
from tests.calls import build
from tests.folders import IMAGE

#: More than there is anywhere: the latents alone take terabytes.
ENORMOUS = {'num_frames': 1_000_000, 'height': 16384, 'width': 16384}
OPTIONS = ['--num-frames', '1000000', '--height', '16384', '--width', '16384']
FAST = {'device': 'cpu', 'show_progress': False}


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    frames = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), dtype=np.uint8)
    return modelscope_i2v.media.write_video(iter(frames), tmp_path_factory.mktemp('clip') / 'clip.mp4', fps=8)


@pytest.mark.parametrize('options', [[], ['--json']])
def test_a_process_ends_with_one_line(options, tmp_path):
    command = [sys.executable, '-m', 'modelscope_i2v.cli.main', 'image-to-video', str(IMAGE), '-o', 'out.mp4']
    done = subprocess.run(
        [*command, *OPTIONS, *options, '--device', 'cpu'],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(IMAGE.parents[3])},
    )
    assert (done.returncode, done.stdout) == (1, '')
    (line,) = done.stderr.splitlines()  # so nothing was loaded, which would have been announced
    assert line.startswith('modelscope-i2v: 1000000 frames of 16384 x 16384 pixels would take about ')
    assert line.endswith('force=True (--force) runs the call all the same.')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('verb', 'options', 'said'),
    [
        ('image-to-video', ['--num-frames', '1000000', '--height', '4096', '--width', '64'], 'What fits: num_frames='),
        ('image-to-video', ['--height', '16384', '--width', '16384'], 'What fits: height='),
        ('video-to-video', ['--height', '16384'], 'What fits: height='),
        (
            'chain',
            ['--num-frames', '1000000', '--stage1-height', '4096', '--stage1-width', '64'],
            '1000000 frames of 64 x 4096 pixels',
        ),
        ('chain', ['--height', '16384', '--keep-stage1', 'low.mp4'], '16 frames of 16384 x 16384 pixels'),
    ],
)
def test_every_verb_refuses_within_seconds(verb, options, said, clip, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = clip if verb == 'video-to-video' else str(IMAGE)
    call = [verb, source, '-o', 'out.mp4', *options, '--device', 'cpu']
    assert main(call) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count('\n') == 1
    assert printed.out == ''
    assert list(tmp_path.iterdir()) == []
    start = time.process_time()  # everything is imported now
    assert main(call) == 1
    assert time.process_time() - start < 2


def test_refused_when_a_model_is_loaded_and_when_it_is_called(stage_1, stage_1_folder, capfd):
    with pytest.raises(DeviceError, match=r'would take about .* of memory, .* of it for the weights'):
        modelscope_i2v.load(modelscope_i2v.embedded_model(), device='cpu', **ENORMOUS)
    with pytest.raises(DeviceError, match='of it for the weights'):
        build(stage_1_folder, **ENORMOUS)
    assert 'Loading weights' not in capfd.readouterr().err
    with pytest.raises(DeviceError, match=r'would take about \S+ GiB of memory, but'):
        stage_1(str(IMAGE), **ENORMOUS)
    with pytest.raises(DeviceError, match=r'would take about \S+ GiB of memory, but'):
        stage_1([str(IMAGE)] * 2, **ENORMOUS)


def test_a_video_is_measured_before_it_is_sampled(stage_2):
    sampled = []
    with pytest.raises(DeviceError, match=r'3 frames of 16384 x 16384 pixels'):
        stage_2(
            np.full((3, 64, 64, 3), 128, np.uint8),
            height=16384,
            callback_on_step_end=lambda *step: sampled.append(step),
        )
    assert sampled == []


def test_a_chain_of_loaded_pipelines_checks_both_before_the_first_generates(stage_1, stage_2, tmp_path):
    with pytest.raises(DeviceError, match=r'frames of 16384 x 16384 pixels'):
        modelscope_i2v.chain(
            str(IMAGE), stage1=stage_1, stage2=stage_2, height=16384, width=16384, keep_stage1=tmp_path / 'low.mp4'
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_force_goes_on_until_the_memory_is_really_gone(tmp_path, capsys):
    """With ``force`` the same call reaches the allocator, which refuses hundreds of terabytes at once.

    The second generation encodes the picture first, which takes all the memory that there is.
    """
    pipeline = modelscope_i2v.load(FIRST_GENERATION, **FAST, force=True, **ENORMOUS)
    with pytest.raises(DeviceError, match=r'^Out of memory: '):
        pipeline(str(IMAGE))
    words = ['image-to-video', str(IMAGE), '-o', str(tmp_path / 'a.mp4'), *OPTIONS, '--device', 'cpu']
    words += ['--model', FIRST_GENERATION]
    assert main([*words, '--force']) == 1
    assert 'Out of memory: ' in capsys.readouterr().err


def test_force_changes_nothing_else(tmp_path, capsys):
    words = ['--num-frames', '2', '--stage1-height', '32', '--stage1-width', '64', '--height', '32', '--steps', '1']
    videos = []
    for name, options in (('a.mp4', []), ('b.mp4', ['--force'])):
        out = str(tmp_path / name)
        command = ['chain', str(IMAGE), '-o', out, *words, '--seed', '3', '--device', 'cpu', '--json', *options]
        assert main([*command, '--no-show-progress']) == 0
        assert json.loads(capsys.readouterr().out)['output_video'] == out
        videos.append((tmp_path / name).read_bytes())
    assert videos[0] == videos[1]
    assert all('force' not in entry for entry in read_recipe(tmp_path / 'b.mp4'))
