"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelscope_i2v.errors import OutputError

# File systems without a way to force data out say so with one of these; that is not a failure to write.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def output_target(path: str | os.PathLike[str]) -> Path:
    """The absolute path of the file to write, links followed.

    Raises:
        OutputError: ``path`` is no path, a folder, a device or pipe, a write-protected file, or has an impossible name.
    """
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise OutputError(f'The output must be a path, found a {type(path).__name__}. Give a file name.') from error
    with output_errors(text):
        # A link stays a link: what it points to is replaced, as if it were opened and written.
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
            raise OutputError(f'The output file {text!r} is write-protected. Unprotect it or give another name.')
    return target


def probe_target(target: Path) -> None:
    """Make the parent folders of ``target`` and try to create a file there; nothing is left but the folders.

    Raises:
        OutputError: the folders cannot be made or cannot be written to.
    """
    with output_errors(target):
        _create_beside(target).unlink()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new empty file beside ``target`` to write to, which takes its place at the end of the ``with`` block.

    Whatever is raised inside, KeyboardInterrupt included, the new file is removed and ``target`` is left as it was.
    Writers of the same target do not disturb each other: the last one wins.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    with output_errors(target):
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
    temporary = target.with_name(f'.{secrets.token_hex(8)}.partial')
    # Not tempfile: its files are private, and ours shall get the permissions that the umask grants.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _sync(path: Path) -> None:
    """Force the data out: network and quota file systems tell that they are full only now."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
