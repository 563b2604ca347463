"""Opens video files safely for reading: no URL, pattern or playlist tricks, and clear error messages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.streams import video_stream
from modelscope_i2v.media.text_sources import shown

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


@contextmanager
def open_container(path: str | os.PathLike[str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file. Yields it with the stream that ``video_stream`` chooses.

    Raises:
        InputError: the file is missing, not a regular file, empty or not a video, or FFmpeg fails on it inside the
            ``with`` block.
    """
    location, name = checked_file(path), video_file_name(path)
    with _told(name), open_input(location, name) as container:
        yield container, video_stream(container, name)


def open_input(source: Path | BinaryIO, name: str) -> InputContainer:
    """Open a file (see ``checked_file``) or a readable, seekable binary stream at its start with FFmpeg.

    The result is a context manager that closes the file. Exceptions raised inside the ``with`` block pass through
    unchanged.

    Raises:
        InputError: FFmpeg cannot read it. The message calls it ``name``.
    """
    import av

    # Playlists may refer to other files and addresses. A file on disk may refer only to files. A stream may come from
    # anybody, so it may not refer to anything. Tags written by other programs may be in any encoding.
    followed = 'file' if isinstance(source, Path) else 'none'
    file = file_url(source) if isinstance(source, Path) else source
    with _told(name):
        return av.open(file, 'r', options={'protocol_whitelist': followed}, metadata_errors='replace')


def checked_file(path: str | bytes | os.PathLike[str]) -> Path:
    """The absolute path of a video file, which must exist and not be empty.

    Raises:
        InputError: the file is missing, not a regular file or empty, or its name is invalid.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise InputError(f'A video file must be given as a path, found {type(path).__name__}.')
    name = video_file_name(path)
    with _told(name):
        location = Path(os.fsdecode(path))
        if location.is_dir():
            raise InputError(f'{name} is a folder. Give one video file inside it.')
        if location.exists() and not location.is_file():
            raise InputError(f'{name} is not a regular file. Give a video file.')
        if location.stat().st_size == 0:
            raise InputError(f'{name} is empty (zero bytes). Save or download it again.')
        return location.absolute()


def video_file_name(path: str | bytes | os.PathLike[str]) -> str:
    """The name that messages use for the video file at ``path``."""
    return f'The video file {shown(os.fsdecode(path), limit=400)}'


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn errors of FFmpeg and the file system into ``InputError``."""
    import av

    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{name} does not exist. Check the path (looked for it in {Path.cwd()}).') from error
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise InputError(
            f'{name} cannot be read as a video ({reason_of(error)}). It may be damaged, incomplete or in an '
            f'unsupported format. Give an MP4, MOV, WebM or AVI file.'
        ) from error


def file_url(path: Path) -> str:
    """A URL for ``path`` that FFmpeg takes literally, even with special characters (``:``, ``%d``, a leading dash)."""
    return f'file:{path.absolute()}'


def reason_of(error: Exception) -> str:
    """The reason in an error of the system or of FFmpeg, without the file name."""
    return getattr(error, 'strerror', None) or str(error)
