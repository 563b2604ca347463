"""Videos in files, in memory as encoded bytes, or at a web address."""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.containers import checked_file, open_input, video_file_name, video_stream
from modelscope_i2v.media.reading.decoding import decode_frames, seconds_of
from modelscope_i2v.media.reading.source import TimedFrame, VideoSource
from modelscope_i2v.media.reading.upright import is_turned, upright_pixels
from modelscope_i2v.media.recipe import recipe_in
from modelscope_i2v.media.text_sources import shown

if TYPE_CHECKING:
    from av.container import InputContainer

MAX_DOWNLOAD = 2 * 2**30
_DOWNLOAD_DEADLINE = 3600.0

#: Opens the encoded data again. Yields a path, or a stream at its start.
Reopen = Callable[[], AbstractContextManager[Path | BinaryIO]]


@dataclass(frozen=True, kw_only=True)
class EncodedVideo(VideoSource):
    """A video that FFmpeg decodes.

    Attributes:
        start: the time of the first frame in seconds on the file's own clock. Times of the sound are relative to it.
    """

    start: Fraction
    reopen: Reopen = field(repr=False)

    @contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """Open the file again. Exceptions raised inside the ``with`` block pass through unchanged.

        Raises:
            InputError: the file no longer exists or has changed.
        """
        with _opened(self.reopen, self.name) as container:
            yield container

    def frames(self) -> Iterator[TimedFrame]:
        step = 1 / Fraction(self.fps) if self.fps else Fraction(1, 25)
        time = -step
        with self.opened() as container:
            for index, frame in enumerate(decode_frames(container, video_stream(container, self.name), self.name)):
                pixels = upright_pixels(frame)
                if pixels.shape[:2] != (self.height, self.width):
                    raise InputError(
                        f'{self.name} has frames of different sizes: frame {index} has {pixels.shape[1]} x '
                        f'{pixels.shape[0]} pixels, the frames before it have {self.width} x {self.height}. Convert '
                        f'all frames to the same size first.'
                    )
                stamp = seconds_of(frame)
                elapsed = time + step if stamp is None else stamp - self.start
                # If the time stamp is damaged or missing, the frame follows the previous one at the average rate.
                time = elapsed if elapsed > time else time + step
                yield TimedFrame(pixels, time)


def open_file(path: str | os.PathLike[str]) -> EncodedVideo:
    """Open the video in a file.

    Raises:
        InputError: the file is missing or not a video, or none of its frames can be decoded.
    """
    location = checked_file(path)
    return _probe(lambda: nullcontext(location), video_file_name(path))


def open_bytes(data: bytes, name: str) -> EncodedVideo:
    """Open the video whose encoded ``data`` is in memory. Raises the same errors as ``open_file``."""
    if not data:
        raise InputError(f'{name} is empty (zero bytes). Give the whole content of a video file.')
    return _probe(lambda: io.BytesIO(data), name)


def open_url(url: str) -> EncodedVideo:
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
    return _probe(kept.open, name)


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


@contextmanager
def _opened(reopen: Reopen, name: str) -> Iterator[InputContainer]:
    with reopen() as source, open_input(source, name) as container:
        yield container


def _probe(reopen: Reopen, name: str) -> EncodedVideo:
    """Decode the first frame. Only this shows how the video is rotated, and whether it can be decoded at all."""
    with _opened(reopen, name) as container:
        stream = video_stream(container, name)
        with closing(decode_frames(container, stream, name)) as frames:  # type: ignore[type-var]
            first = next(frames)
        height, width = upright_pixels(first).shape[:2]
        shape = stream.sample_aspect_ratio or Fraction(1)
        if is_turned(first):
            shape = 1 / shape
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        return EncodedVideo(
            name=name,
            width=width,
            height=height,
            aspect=float(width * shape / height),
            fps=float(rate) if rate else None,
            has_sound=bool(container.streams.audio),
            recipe=recipe_in(container),
            start=seconds_of(first) or Fraction(0),
            reopen=reopen,
        )
