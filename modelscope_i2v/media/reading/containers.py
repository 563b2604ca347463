"""Opening video files for reading, safely: no URL, pattern or playlist tricks, errors in plain words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.text_sources import shown

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# FFmpeg reads single images as one-frame videos, and renders text as terminal output.
_NOT_VIDEOS = ('image2', 'tty')
# Still pictures in MP4's clothes: AVIF and HEIF.
_PICTURE_BRANDS = ('avif', 'heic', 'heix', 'mif1')


@contextmanager
def open_container(path: str | os.PathLike[str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and its first real video stream (cover pictures of music do not count).

    Raises:
        InputError: missing, not a regular file, empty, not a video, or FFmpeg fails on it inside the ``with`` block.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise InputError(f'A video file must be given as a path, found a {type(path).__name__}.')
    name = video_file_name(path)
    with _told(name), open_input(checked_file(path), name) as container:
        yield container, video_stream(container, name)


def open_input(source: Path | BinaryIO, name: str) -> InputContainer:
    """FFmpeg's view of a file (see ``checked_file``) or of a readable, seekable binary stream at its start.

    The result is a context manager that closes it; what is raised inside the ``with`` block passes as it is.

    Raises:
        InputError: FFmpeg cannot make anything of it. ``name`` is what messages call it.
    """
    import av

    # Playlists may name other files and addresses: from a file on disk nothing but files is followed, from a stream,
    # which may come from anybody, nothing at all. Foreign tags may be in any encoding.
    followed = 'file' if isinstance(source, Path) else 'none'
    file = file_url(source) if isinstance(source, Path) else source
    with _told(name):
        return av.open(file, 'r', options={'protocol_whitelist': followed}, metadata_errors='replace')


def checked_file(path: str | bytes | os.PathLike[str]) -> Path:
    """The absolute path of a video file that is there and not empty.

    Raises:
        InputError: missing, not a regular file, empty, or no possible name.
    """
    name = video_file_name(path)
    with _told(name):
        location = Path(os.fsdecode(path))
        if location.is_dir():
            raise InputError(f'{name} is a folder. Give one video file in it.')
        if location.exists() and not location.is_file():
            raise InputError(f'{name} is not a regular file. Give a video file.')
        if location.stat().st_size == 0:
            raise InputError(f'{name} is empty (zero bytes). Write or download it again.')
        return location.absolute()


def video_file_name(path: str | bytes | os.PathLike[str]) -> str:
    """What messages call the video file at ``path``."""
    return f'The video file {shown(os.fsdecode(path), limit=400)}'


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what FFmpeg and the file system raise into ``InputError``."""
    import av

    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{name} does not exist. Check the path (looked for it in {Path.cwd()}).') from error
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise InputError(
            f'{name} cannot be read as a video ({reason_of(error)}). It may be damaged, incomplete or of another kind: '
            f'give an MP4, MOV, WebM or AVI file.'
        ) from error


def file_url(path: Path) -> str:
    """``path`` as FFmpeg takes it literally, whatever characters it holds (``:``, ``%d``, a leading dash)."""
    return f'file:{path.absolute()}'


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first real video stream of an opened file.

    Raises:
        InputError: a picture, only sound, or encoded in a way that cannot be decoded here.
    """
    from av.stream import Disposition

    kind = container.format.name
    brand = container.metadata.get('major_brand', '')
    if kind.endswith('_pipe') or kind in _NOT_VIDEOS or brand in _PICTURE_BRANDS:
        raise InputError(
            f'{name} is not a video (FFmpeg takes it for {brand or kind!r}). Give a video file; a picture is animated '
            f'by image-to-video first.'
        )
    real = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    for stream in real:
        if stream.codec_context is not None:
            return stream
    if real:
        raise InputError(f'{name} is encoded in a way that cannot be decoded here. Convert it to H.264 in MP4.')
    raise InputError(f'{name} has no video stream. Give a file that holds pictures, not only sound.')


def reason_of(error: Exception) -> str:
    """The short form of a system's or FFmpeg's error, without the file name."""
    return getattr(error, 'strerror', None) or str(error)
