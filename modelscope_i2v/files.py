"""Writing files whole or not at all, and reading only what a file can be."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from modelscope_i2v.errors import OutputError

# File systems that cannot sync report one of these errors; that is not a failure to write.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
#: The largest JSON file that is read, in bytes. A configuration has a few thousand.
MAX_JSON = 2**20
#: Lengths of names that every file system takes: a part in bytes, and a path, with room for the folder in front.
_MAX_NAME, _MAX_PATH = 255, 1024
_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a named pipe'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading. Anything else could make the reader wait or read forever.

    Raises:
        OSError: if there is no such file, or for a folder, a named pipe, a socket or a device. ValueError: for an
            impossible name.
    """
    file = Path(path)
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((name for check, name in _KINDS if check(mode)), 'something else')
        raise OSError(errno.EINVAL, f'it is {kind}, not a regular file')
    return file.open('rb')


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything at ``path``. Names that the system cannot look up, such as very long ones, are not."""
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def can_be_path(name: str) -> bool:
    """Whether a file system can look up ``name``: no part is too long, and every character can be encoded."""
    try:
        parts = os.fsencode(name).split(b'/')
    except UnicodeEncodeError:
        return False
    return '\0' not in name and len(name) <= _MAX_PATH and max(map(len, parts)) <= _MAX_NAME


def read_json(path: str | os.PathLike[str], limit: int = MAX_JSON) -> Any:
    """The content of a JSON file in UTF-8.

    NaN and infinity, which are not JSON, are refused. A byte order mark is skipped, because ModelScope skips it, too.

    Args:
        limit: the largest accepted size in bytes.

    Raises:
        OSError: as :func:`open_regular`. ValueError: if it is too large, or is not JSON.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f'it has more than {limit:,} bytes')
    return parse_json(content.decode('utf-8-sig'))


def parse_json(text: str) -> Any:
    """The value that a JSON text stands for; NaN and infinity are refused.

    Raises:
        ValueError: if it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is not a valid JSON number')


def output_target(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of the file to write, with links resolved.

    Raises:
        OutputError: if ``path`` is not a path, is a folder, a device, a pipe or a write-protected file, or has an
            impossible name.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise OutputError(f'The output must be a path, found a {type(path).__name__}. Give a file name.') from error
    with output_errors(text):
        # A link stays a link: its target is replaced, just as if the link were opened for writing.
        target = Path(os.path.realpath(text))
        try:
            mode = target.stat().st_mode
        except FileNotFoundError:
            mode = None
        if not text or text.endswith(('/', os.sep)) or (mode is not None and stat.S_ISDIR(mode)):
            raise OutputError(f'The output path {text!r} is a folder. Add a file name, such as video.mp4.')
        if mode is not None and not stat.S_ISREG(mode):
            raise OutputError(f'The output path {text!r} is a device, pipe or socket. Give the name of a file.')
        if mode is not None and not os.access(target, os.W_OK):
            raise OutputError(f'The output file {text!r} is write-protected. Make it writable or use another name.')
    return target


def probe_target(target: Path) -> None:
    """Create the parent folders of ``target`` and try to create a file there; only the folders remain.

    Raises:
        OutputError: if the folders cannot be created or written to.
    """
    with output_errors(target):
        _create_beside(target).unlink()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a new empty file beside ``target``, which replaces ``target`` at the end of the ``with`` block.

    If anything is raised inside, even KeyboardInterrupt, the new file is removed and ``target`` is unchanged. If the
    process is killed, the next writer of the same target removes it. Several writers of the same target do not disturb
    each other: the last one wins.

    Raises:
        OutputError: if the folder cannot be written to, or the disk is full.
    """
    with output_errors(target):
        _remove_abandoned(target)
        temporary = _create_beside(target)
    try:
        yield temporary
        with output_errors(target):
            _sync(temporary)
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_json(content: Any, path: Path) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    with replacing(path) as draft, output_errors(path):
        draft.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


@contextmanager
def output_errors(path: str | os.PathLike[str], *more: type[Exception]) -> Iterator[None]:
    """Turn ``OSError``, impossible names (``ValueError``) and the kinds in ``more`` into ``OutputError``."""
    kinds: tuple[type[Exception], ...] = (OSError, ValueError, *more)
    try:
        yield
    except OutputError:
        raise
    except kinds as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise OutputError(
            f'Cannot write {os.fsdecode(path)!r}: {reason}. Check the path, its permissions and the free space, or '
            f'write to another folder.'
        ) from error


def _create_beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'{_draft_prefix(target)}{os.getpid()}-{secrets.token_hex(8)}.partial')
    # Not tempfile: it creates private files, but ours should have the permissions that the umask allows.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _draft_prefix(target: Path) -> str:
    """The beginning of the names of drafts of ``target`` that processes beside this one write; their number follows."""
    try:
        processes = os.stat('/proc/self/ns/pid').st_ino  # noqa: PTH116  numbers of processes count inside containers
    except OSError:
        processes = 0
    names = f'{socket.gethostname()} {processes}', target.name
    here, name = (hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:8] for text in names)
    return f'.{name}-{here}-'


def _remove_abandoned(target: Path) -> None:
    """Remove the drafts of ``target`` whose writers were killed. Those of other machines may still be written."""
    prefix = _draft_prefix(target)
    with suppress(OSError):
        for name in os.listdir(target.parent):  # noqa: PTH208  a folder may hold many files
            number = name.removeprefix(prefix).partition('-')[0]
            if name.startswith(prefix) and name.endswith('.partial') and number.isdecimal() and not _runs(int(number)):
                with suppress(OSError):
                    (target.parent / name).unlink()


def _runs(process: int) -> bool:
    """Whether a process exists; True if that is not known."""
    if os.name != 'posix':
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _sync(path: Path) -> None:
    """Force the data to disk: network file systems and ones with quotas may only now report that they are full."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
