"""Videos in files, in memory as encoded bytes, or at a web address."""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import WHITE, Background
from modelscope_i2v.media.reading.animation import is_animation, open_animation
from modelscope_i2v.media.reading.containers import video_file_name
from modelscope_i2v.media.reading.encoded import Reopen, open_encoded, reopener
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.text_sources import shown

MAX_DOWNLOAD = 2 * 2**30
_DOWNLOAD_DEADLINE = 3600.0


def open_file(path: str | os.PathLike[str], background: Background = WHITE) -> VideoSource:
    """Open the video in a file.

    Raises:
        InputError: the file is missing or not a video, or none of its frames can be decoded.
    """
    return _open(reopener(path), video_file_name(path), background)


def open_bytes(data: bytes, name: str, background: Background = WHITE) -> VideoSource:
    """Open the video whose encoded ``data`` is in memory. Raises the same errors as ``open_file``."""
    if not data:
        raise InputError(f'{name} is empty (zero bytes). Give the whole content of a video file.')
    return _open(lambda: io.BytesIO(data), name, background)


def open_url(url: str, background: Background = WHITE) -> VideoSource:
    """Open the video at an http(s) address. A temporary file holds it for as long as the result exists.

    Raises:
        InputError: the download fails or is larger than ``MAX_DOWNLOAD`` bytes, or ``open_file`` would raise.
    """
    from modelscope_i2v.media.download import download_to

    name = f'The video at {shown(url)}'
    descriptor, path = tempfile.mkstemp(prefix='modelscope-i2v-')
    kept = _TemporaryFile(Path(path))
    with open(descriptor, 'wb') as file:  # noqa: PTH123  a descriptor, not a path
        download_to(url, file, limit=MAX_DOWNLOAD, deadline=_DOWNLOAD_DEADLINE)
    if kept.path.stat().st_size == 0:
        raise InputError(f'{name} is empty (zero bytes). Check the address.')
    return _open(kept.open, name, background)


def _open(reopen: Reopen, name: str, background: Background) -> VideoSource:
    if is_animation(reopen):
        return open_animation(reopen, name, background)
    return open_encoded(reopen, name, background)


class _TemporaryFile:
    """Deletes the file once nothing refers to this object any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        weakref.finalize(self, _remove, path)

    def open(self) -> BinaryIO:
        return self.path.open('rb')


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
