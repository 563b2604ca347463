"""The command line with standard output closed, gone or full, with odd names and texts, and told to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from modelscope_i2v.cli.main import main
from modelscope_i2v.cli.terminal import printable
from modelscope_i2v.files import replacing
from modelscope_i2v.media import write_video
from tests.folders import IMAGE
from tests.hostile.test_records import write

COMMAND = f'{sys.executable} -m modelscope_i2v.cli.main'
GREY = [np.full((16, 16, 3), 100, np.uint8)] * 3


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(GREY, tmp_path_factory.mktemp('video') / 'a.mp4', fps=8, recipe=[{'stage': 'x', 'seed': 1}])


def shell(line, **environment):
    """What a shell makes of a command line, with ``CLI`` for our command."""
    return subprocess.run(
        ['bash', '-c', line.replace('CLI', COMMAND)],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


WAYS = {
    'full': '{} > /dev/full',
    'closed': '{} >&-',
    'all closed': '{} >&- 2>&- <&-',
    'nobody reads it': '(set -o pipefail; {} | true)',
    'everything is full': '{} > /dev/full 2> /dev/full',
    'read-only': '{} 1< /dev/null',
}


QUICK = [('info VIDEO', 'full'), ('info VIDEO', 'closed'), ('info VIDEO', 'nobody reads it'), ('--help', 'full')]
CASES = [
    *[(verb, way) for verb in ('info VIDEO', '--help') for way in WAYS],
    *[(verb, way) for verb in ('info VIDEO --json', '--version') for way in ('full', 'closed')],
    ('image-to-video --help', 'full'),
]
CASES = [case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in CASES]


@pytest.mark.parametrize('buffered', [True, False], ids=['buffered', 'unbuffered'])
@pytest.mark.parametrize(('verb', 'way'), CASES)
def test_standard_output_that_cannot_be_written(video, verb, way, buffered):
    if not buffered and not way.endswith('full'):
        pytest.skip('differs only if it is full')
    line = WAYS[way].format('CLI ' + verb.replace('VIDEO', video))
    done = shell(line, PYTHONUNBUFFERED='' if buffered else '1')
    if way == 'nobody reads it' and not verb.startswith('info'):
        assert done.returncode in (0, 1)  # a short text fits into the pipe before it is gone
    else:
        assert done.returncode == 1, done
    assert done.stderr.count(b'\n') <= 1, done.stderr.decode()
    assert b'Traceback' not in done.stderr
    assert b'Exception' not in done.stderr


def test_an_unknown_option_with_standard_output_full():
    done = shell('CLI info --nothing > /dev/full')
    assert (done.returncode, done.stderr.count(b'\n')) == (2, 2)


@pytest.mark.slow
def test_a_picture_becomes_a_video_even_if_nobody_listens(tmp_path):
    done = shell(
        f'CLI image-to-video {IMAGE} -o {tmp_path}/a.mp4 --steps 1 --num-frames 2 --device cpu > /dev/full 2>&1'
    )
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ['a.mp4']


@pytest.mark.parametrize(
    ('encoding', 'options'), [('utf-8', ''), ('ascii', ''), ('utf-8', '--json'), ('ascii', '--json')]
)
def test_names_and_recipes_of_any_characters(tmp_path, encoding, options):
    evil = '\ud800 \x1b[31m \x07 \x9b2J \u202e \u2028 ü 😀 \n next'
    recipe = json.dumps([{'version': 1, 'stage': evil, evil: evil, 'list': [evil]}])
    write(tmp_path / 'a\x1b[31m\n.mp4', comment=recipe)
    done = shell(f"cd {tmp_path}; CLI info $'a\\x1b[31m\\n.mp4' {options}", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.decode(encoding)
    assert not set(printed) & set('\x1b\x07\x9b\u202e\u2028')
    if options:
        assert printed.count('\n') == 1
        assert json.loads(printed)['recipe'][0]['stage'] == evil
    else:
        assert printed.count('\n') == 4
        assert '\\ud800 \\x1b[31m' in printed


ODD_NAME = os.fsdecode(b'\xff\x1b[31m\n')


@pytest.mark.parametrize(
    'arguments',
    [
        ['info', ODD_NAME],
        ['evaluate', ODD_NAME],
        ['image-to-video', ODD_NAME, '-o', 'x.mp4'],
        ['train', ODD_NAME],
        ['convert', ODD_NAME, '-o', 'out'],
        ['image-to-video', 'x.png', '-o', 'x.mp4', '--solver', ODD_NAME],
        ['image-to-video', 'x.png', '-o', 'x.mp4', '--device', ODD_NAME],
        ['image-to-video', 'x.png', '-o', 'x.mp4', f'--{ODD_NAME}'],
        ['image-to-video', str(IMAGE), '-o', 'x.mp4', '--model', ODD_NAME],
        [ODD_NAME],
    ],
    ids=lambda arguments: ascii(arguments[0]) + str(len(arguments)),
)
def test_names_that_are_not_utf_8(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as left:
        code = left.code
    printed = capsys.readouterr().err
    assert code in (1, 2)
    assert not set(printed) & {'\x1b', '\udcff'}
    assert '\\xff' in printed or '\\udcff' in printed
    assert printed.count('\n') == code  # an error is one line, bad usage adds one about help


@pytest.mark.parametrize('encoding', ['utf-8', 'ascii'])
def test_a_name_that_is_not_utf_8_in_a_process(encoding):
    done = shell("CLI info $'\\xff\\x1b[31m\\n'", PYTHONIOENCODING=encoding, LC_ALL='C')
    assert (done.returncode, done.stderr.count(b'\n')) == (1, 1)
    assert b'\x1b' not in done.stderr
    assert b'\\xff' in done.stderr or b'\\udcff' in done.stderr


@pytest.mark.slow
def test_a_result_whose_name_is_not_utf_8(tmp_path):
    line = f"cd {tmp_path}; CLI image-to-video {IMAGE} --steps 1 --num-frames 2 --device cpu -o $'\\xff\\x1b.mp4'"
    done = shell(line)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b'\\xff\\x1b.mp4  (seed ')
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b'\xff\x1b.mp4']


@pytest.mark.slow
def test_warnings_about_what_is_in_a_file(stage_1_folder, tmp_path):
    from tests.folders import variant

    folder = variant(stage_1_folder, tmp_path / 'model', {'model.model_cfg.\x1b[31m': 1})
    done = shell(f'CLI image-to-video {IMAGE} -o {tmp_path}/a.mp4 --model {folder} --steps 1 --device cpu')
    assert done.returncode == 0, done.stderr
    assert b"unknown key '\\x1b[31m'" in done.stderr
    assert b'\x1b' not in done.stderr


def test_what_is_printable():
    kept = 'a ü 中 😀 👨\u200d👩 é\u0301 \u00a0'
    assert printable(kept) == kept
    assert printable('\t\n\x1b\x9b\u202e\u2028\udcff\ud800\U000e0001') == (
        '\\t\\n\\x1b\\x9b\\u202e\\u2028\\xff\\ud800\\U000e0001'
    )


@pytest.mark.parametrize(('name', 'code'), [('SIGTERM', 143), ('SIGHUP', 129)])
def test_a_signal_leaves_nothing(tmp_path, name, code):
    out, temporary = tmp_path / 'out', tmp_path / 'temporary'
    temporary.mkdir()
    command = [*COMMAND.split(), 'image-to-video', str(IMAGE), '-o', str(out / 'x.mp4'), '--steps', '1000']
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, 'TMPDIR': str(temporary)})
    seen, deadline = b'', time.monotonic() + 60
    while b'Sampling' not in seen and time.monotonic() < deadline:
        seen += os.read(process.stderr.fileno(), 4096)
    process.send_signal(getattr(signal, name))
    rest = process.communicate(timeout=30)[1]
    assert process.returncode == code, seen + rest
    assert rest.count(b'\n') == 1
    assert b'interrupted' in rest
    assert list(out.iterdir()) == []


def test_a_hangup_under_nohup_is_ignored():
    code = (
        'import signal, os\nfrom modelscope_i2v.cli.signals import signals_stop\n'
        'signal.signal(signal.SIGHUP, signal.SIG_IGN)\n'
        'with signals_stop():\n  os.kill(os.getpid(), signal.SIGHUP)\n'
        'assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\nprint("alive")\n'
    )
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == 'alive\n'


WRITER = """
import sys, time
from pathlib import Path
from modelscope_i2v.files import replacing
with replacing(Path(sys.argv[1])) as draft:
    print(draft, flush=True)
    time.sleep(60)
"""


def writer(target):
    process = subprocess.Popen([sys.executable, '-c', WRITER, target], stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def test_the_draft_of_a_killed_writer_is_removed_by_the_next_one(tmp_path):
    target = tmp_path / 'video.mp4'
    killed, dead = writer(target)
    killed.kill()
    killed.wait()
    other, others = writer(tmp_path / 'other.mp4')
    other.kill()
    other.wait()
    alive, living = writer(target)
    foreign = tmp_path / '.0123456789abcdef.partial'
    foreign.write_bytes(b'of another machine, or of an older version')
    try:
        assert not dead.exists()
        with replacing(target) as mine:
            assert living.exists()
            with replacing(target) as second:  # two in one process
                assert mine.exists()
                second.write_bytes(b'second')
            mine.write_bytes(b'mine')
        assert target.read_bytes() == b'mine'
        assert living.exists()
        assert others.exists()  # of another name
        assert foreign.exists()
    finally:
        alive.kill()
        alive.wait()
    with replacing(target) as mine:
        mine.write_bytes(b'new')
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([others.name, foreign.name, 'video.mp4'])


def test_a_recipe_with_a_lone_surrogate_in_this_process(tmp_path, capsys):
    path = write(tmp_path / 'a.mp4', comment='[{"version":1,"stage":"\\ud800"}]')
    assert main(['info', str(path)]) == 0
    assert '\\ud800' in capsys.readouterr().out
    assert main(['info', str(path), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['recipe'] == [{'version': 1, 'stage': '\ud800'}]
    with av.open(str(path)) as file:
        assert 'ud800' in file.metadata['comment']
