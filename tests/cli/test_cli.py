"""The console script in real processes, on the embedded model."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from modelscope_i2v.cli.main import main
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from tests.golden import DATA

IMAGE = str(DATA / 'images' / 'gray_333x500.png')


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    return {**os.environ, 'TMPDIR': str(tmp_path_factory.mktemp('folder'))}


@pytest.fixture
def cli(environment, tmp_path, monkeypatch, capsys):
    """Runs the verbs in this process: starting a process costs seconds. Tests that need a real one start it."""

    def run(*arguments):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        try:
            code = main([*map(str, arguments)])
        except SystemExit as left:
            code = left.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope='module')
def written(environment, tmp_path_factory):
    out = tmp_path_factory.mktemp('out') / 'a folder' / 'out.mp4'
    command = [sys.executable, '-m', 'modelscope_i2v.cli.main', 'image-to-video', IMAGE, '-o', str(out), '--json']
    options = ['--steps', '3', '--num-frames', '4', '--seed', '5', '--solver', 'unipc', '--output-fps', '12.5']
    done = subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return out, done


def test_a_picture_becomes_a_video(written):
    out, done = written
    assert json.loads(done.stdout) == {'output_video': str(out), 'seed': 5, 'model_revision': None}
    info = probe_video(out)
    assert (info.width, info.height, info.frames, info.fps, info.codec) == (96, 160, 4, 12.5, 'h264')
    entry = read_recipe(out)[0]
    assert [entry[name] for name in ('stage', 'seed', 'steps', 'solver')] == ['image-to-video', 5, 3, 'unipc']


def test_progress_and_nothing_else_goes_to_standard_error(written):
    _, done = written
    assert 'Sampling' in done.stderr
    assert 'INFO' not in done.stderr
    assert 'Traceback' not in done.stderr


def test_info_prints_the_recipe(cli, written):
    code, out, _ = cli('info', written[0])
    assert code == 0
    for part in ('96x160, 4 frames, 12.5 fps', 'stage 1: image-to-video', 'seed               5', 'unipc'):
        assert part in out
    parsed = json.loads(cli('info', written[0], '--json')[1])
    assert parsed['recipe'] == read_recipe(written[0])
    assert parsed['frames'] == 4


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['image-to-video', 'none.png', '-o', 'x.mp4'], 1, 'none.png'),
        (['image-to-video', IMAGE, '-o', 'x.avi'], 1, '.avi'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--steps', '0'], 1, "'steps'"),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--height', '100'], 1, '96 and 128'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--device', 'cuda:7'], 1, 'cuda:7'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--model', 'no/such/folder'], 1, 'no/such/folder'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--model', 'nobody/nothing', '--offline'], 1, 'nobody/nothing'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--steps', 'many'], 2, 'usage'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--solver', 'ddmi'], 2, 'ddim'),
        (['image-to-video', IMAGE, '-o', 'x.mp4', '--model-revision', 'v1'], 1, '--model'),
        (['image-to-video', IMAGE], 2, '-o'),
        (['info', 'none.mp4'], 1, 'none.mp4'),
        (['info', IMAGE], 1, 'not a video'),
        ([], 2, 'usage'),
    ],
)
def test_bad_usage_says_what_is_wrong_without_a_traceback(cli, tmp_path, arguments, code, message):
    found, out, err = cli(*arguments)
    assert found == code, err
    assert message in err
    assert 'Traceback' not in err
    assert 'Loading weights' not in err or '--height' in arguments, 'noticed only after loading the model'
    assert out == ''
    assert list(tmp_path.iterdir()) == []


def test_a_real_process_fails_without_a_traceback(environment, tmp_path):
    command = [sys.executable, '-m', 'modelscope_i2v.cli.main', 'image-to-video', 'none.png', '-o', 'x.mp4']
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.count("'none.png'") == 1
    assert 'Traceback' not in done.stderr


def test_modelscopes_own_command_line_has_the_verbs(tmp_path):
    from modelscope_hub.cli.main import _build_parser

    from modelscope_i2v.cli.modelscope_command import I2VCommand

    parser = _build_parser()
    subparsers = next(action for action in parser._actions if hasattr(action, 'add_parser'))
    installed = any(entry.name == I2VCommand.name for entry in entry_points(group='modelscope_hub.cli_plugins'))
    assert (I2VCommand.name in subparsers.choices) == installed
    if not installed:  # a checkout on the path
        I2VCommand.register(subparsers)
    arguments = parser.parse_args(['i2v', 'info', str(tmp_path / 'none.mp4')])
    with pytest.raises(SystemExit) as caught:
        arguments._command(arguments).execute()
    assert caught.value.code == 1


def test_interrupting_leaves_nothing_and_exits_130(environment, tmp_path):
    command = [sys.executable, '-m', 'modelscope_i2v.cli.main', 'image-to-video', IMAGE, '-o', str(tmp_path / 'x.mp4')]
    process = subprocess.Popen([*command, '--steps', '1000'], stderr=subprocess.PIPE, env=environment)
    seen = b''
    deadline = time.monotonic() + 60
    while b'Sampling' not in seen and time.monotonic() < deadline:
        seen += os.read(process.stderr.fileno(), 4096)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=30)[1]
    assert process.returncode == 130, seen + rest
    assert b'interrupted' in rest
    assert b'Traceback' not in rest
    assert list(tmp_path.iterdir()) == []
    left = [path.name for path in Path(environment['TMPDIR']).iterdir()]
    assert [name for name in left if not name.startswith('torchinductor')] == []  # torch makes its own at import
