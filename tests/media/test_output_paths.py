"""Where videos are written, and what remains when writing fails."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from modelscope_i2v.errors import OutputError
from modelscope_i2v.media.reading.info import probe_video
from modelscope_i2v.media.writing.write import check_output, encode_video, write_video

ODD_NAMES = ['a b.mp4', 'quote\'"$x;`.mp4', '%d %03d%%.mp4', 'ünï 雪.mp4', '-dash.mp4', 'http:x.mp4', 'a*?[1].mp4']


def names_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize('name', ODD_NAMES)
@pytest.mark.parametrize('in_folder', [False, True])
def test_odd_names(tmp_path, monkeypatch, frames, name, in_folder):
    monkeypatch.chdir(tmp_path)
    path = Path(name, name) if in_folder else name
    check_output(path)
    assert write_video(frames[:3], path, fps=8) == str(path)
    assert probe_video(path).frames == 3
    assert names_in(Path(path).parent) == [name]


def test_names_that_are_not_text(tmp_path, frames):
    path = os.fsdecode(os.fsencode(tmp_path) + b'/\xff\xfe.mp4')
    write_video(frames[:2], path, fps=8)
    assert probe_video(path).frames == 2


def test_the_longest_name_that_the_file_system_takes(tmp_path, frames):
    path = tmp_path / f'{"x" * 251}.mp4'
    check_output(path)
    assert probe_video(write_video(frames[:2], path, fps=8)).frames == 2
    with pytest.raises(OutputError, match='too long'):
        check_output(tmp_path / f'{"x" * 252}.mp4')


@pytest.mark.parametrize('suffix', ['.mp4', '.gif'])
def test_permissions_follow_the_umask(tmp_path, frames, suffix):
    previous = os.umask(0o027)
    try:
        path = write_video(frames[:2], tmp_path / f'a{suffix}', fps=8)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path, frames):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link.mp4').symlink_to(tmp_path / 'real' / 'video.mp4')
    write_video(frames[:2], tmp_path / 'link.mp4', fps=8)
    assert (tmp_path / 'link.mp4').is_symlink()
    assert probe_video(tmp_path / 'real' / 'video.mp4').frames == 2


def test_check_output_makes_the_folders_and_nothing_else(tmp_path):
    check_output(tmp_path / 'new' / 'folder' / 'a.mp4')
    assert list((tmp_path / 'new' / 'folder').iterdir()) == []
    (tmp_path / 'old.mp4').write_bytes(b'precious')
    check_output(tmp_path / 'old.mp4')
    assert (tmp_path / 'old.mp4').read_bytes() == b'precious'


@pytest.mark.parametrize('name', ['', '.', 'folder', 'folder.mp4', 'slash.mp4/'])
def test_folders_are_refused(tmp_path, monkeypatch, frames, name):
    monkeypatch.chdir(tmp_path)
    Path('folder').mkdir()
    Path('folder.mp4').mkdir()
    for attempt in (check_output, lambda path: write_video(frames, path, fps=8)):
        with pytest.raises(OutputError, match='is a folder'):
            attempt(name)


@pytest.mark.parametrize(
    ('path', 'told'),
    [
        ('a.avi', r"ends in '.avi'.*Use .mp4"),
        ('a.png', "ends in '.png'"),
        ('/dev/null', 'device'),
        ('/proc/no/such/a.mp4', 'Cannot write'),
        ('nul\0byte.mp4', 'Cannot write'),
        (5, 'found a int'),
        (None, 'found a NoneType'),
    ],
)
def test_impossible_places(tmp_path, monkeypatch, frames, path, told):
    monkeypatch.chdir(tmp_path)
    for attempt in (check_output, lambda place: write_video(frames, place, fps=8)):
        with pytest.raises(OutputError, match=told):
            attempt(path)
    assert list(tmp_path.iterdir()) == []
    assert Path('/dev/null').is_char_device()


def test_a_place_that_nobody_can_write_to(below_a_file, frames):
    for path in (below_a_file, below_a_file.with_suffix('.gif'), below_a_file / 'deeper.mp4'):
        with pytest.raises(OutputError, match='Not a directory') as caught:
            check_output(path)
        assert str(path) in str(caught.value)
        with pytest.raises(OutputError, match='Not a directory'):
            write_video(frames, path, fps=8)


def test_no_folder_for_temporary_files(below_a_file, monkeypatch, frames):
    monkeypatch.setattr(tempfile, 'tempdir', str(below_a_file))
    with pytest.raises(OutputError, match='temporary'):
        encode_video(frames, fps=8)


@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError, OSError, GeneratorExit])
@pytest.mark.parametrize('suffix', ['.mp4', '.gif'])
@pytest.mark.parametrize('after', [0, 5])
def test_an_error_of_the_frames_leaves_everything_as_it_was(tmp_path, frames, clean_temp, error, suffix, after):
    def failing():
        yield from frames[:after]
        raise error('mine')

    path = tmp_path / f'a{suffix}'
    path.write_bytes(b'precious')
    with pytest.raises(error, match='mine') as caught:
        write_video(failing(), path, fps=8)
    assert type(caught.value) is error
    assert path.read_bytes() == b'precious'
    assert names_in(tmp_path) == [path.name]
    with pytest.raises(error, match='mine'):
        encode_video(failing(), fps=8)


# The limits go from zero to one byte less than the file. So opening, header, frames, trailer and the rewriting that
# puts the index in front all hit the full disk once.
DISK_FULL = """
import os, resource, signal, tempfile
import numpy as np
from modelscope_i2v.errors import OutputError
from modelscope_i2v.media.writing.write import encode_video, write_video

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
noise = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8)
tempfile.gettempdir()  # Python looks for the folder once, by writing a file.
for name in ('a.mp4', 'a.gif', 'a.webp'):
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    size = os.path.getsize(write_video(noise, 'whole-' + name, fps=8))
    for limit in (0, 1, 40, 1000, size // 2, size - 1200, size - 700, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        writers = {name: lambda: write_video(noise, name, fps=8)}
        if name == 'a.mp4':
            writers['video.mp4'] = lambda: encode_video(noise, fps=8)
        for told, writer in writers.items():
            try:
                writer()
            except OutputError as error:
                assert 'File too large' in str(error) and told in str(error), error
            else:
                raise SystemExit(f'{name}: limit {limit} of {size} bytes went unnoticed')
"""


def test_disk_full(tmp_path):
    work, temp = tmp_path / 'work', tmp_path / 'temp'
    work.mkdir()
    temp.mkdir()
    names = ['a.gif', 'a.mp4', 'a.webp']
    for name in names:
        (work / name).write_bytes(b'precious')
    root = Path(__file__).parents[2]
    environment = {**os.environ, 'TMPDIR': str(temp), 'PYTHONPATH': str(root), 'PYTHONDONTWRITEBYTECODE': '1'}
    command = [sys.executable, '-c', DISK_FULL]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert names_in(work) == [*names, *(f'whole-{name}' for name in names)]
    assert {(work / name).read_bytes() for name in names} == {b'precious'}
    assert names_in(temp) == []


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full')
def test_devices_are_never_replaced(frames):
    with pytest.raises(OutputError, match='device'):
        write_video(frames, '/dev/full', fps=8)
    assert Path('/dev/full').is_char_device()


def test_two_writers_of_one_file_leave_one_whole_file(tmp_path):
    path = tmp_path / 'a.mp4'
    start = threading.Barrier(2)
    errors = []

    def write(level):
        try:
            start.wait()
            for _ in range(3):
                write_video([np.full((32, 32, 3), level, np.uint8)] * 8, path, fps=8)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(level,)) for level in (0, 255)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert names_in(tmp_path) == ['a.mp4']
    assert probe_video(path).frames == 8
