"""Opening video files for reading, safely: no URL, pattern or playlist tricks, errors in plain words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelscope_i2v.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# FFmpeg reads single images as one-frame videos, and renders text as terminal output.
_NOT_VIDEOS = ('image2', 'tty')


@contextmanager
def open_container(path: str | os.PathLike[str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and its first real video stream (cover pictures of music do not count).

    Raises:
        InputError: missing, not a regular file, empty, not a video, or FFmpeg fails on it inside the ``with`` block.
    """
    import av

    if not isinstance(path, (str, bytes, os.PathLike)):
        raise InputError(f'A video file must be given as a path, found a {type(path).__name__}.')
    name = f'The video file {os.fsdecode(path)!r}'
    try:
        location = Path(os.fsdecode(path))
        if location.is_dir():
            raise InputError(f'{name} is a folder. Give one video file in it.')
        if location.exists() and not location.is_file():
            raise InputError(f'{name} is not a regular file. Give a video file.')
        if location.stat().st_size == 0:
            raise InputError(f'{name} is empty (zero bytes). Write or download it again.')
        # Playlists may name other files and addresses: nothing but files is followed. Foreign tags may be in any
        # encoding.
        options = {'protocol_whitelist': 'file'}
        with av.open(file_url(location), 'r', options=options, metadata_errors='replace') as container:
            yield container, _video_stream(container, name)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{name} does not exist. Check the path (looked for it in {Path.cwd()}).') from error
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise InputError(
            f'{name} cannot be read as a video ({_reason(error)}). It may be damaged, incomplete or of another kind: '
            f'give an MP4, MOV, WebM or AVI file.'
        ) from error


def file_url(path: Path) -> str:
    """``path`` as FFmpeg takes it literally, whatever characters it holds (``:``, ``%d``, a leading dash)."""
    return f'file:{path.absolute()}'


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    from av.stream import Disposition

    format_name = container.format.name
    if format_name.endswith('_pipe') or format_name in _NOT_VIDEOS:
        raise InputError(f'{name} is not a video (FFmpeg takes it for {format_name!r}). Give a video file.')
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    raise InputError(f'{name} has no video stream. Give a file that holds pictures, not only sound.')


def _reason(error: Exception) -> str:
    return getattr(error, 'strerror', None) or str(error)
