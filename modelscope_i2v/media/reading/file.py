"""Videos in files, in memory as encoded bytes, or behind a web address."""

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

#: Opens the encoded data once more: a path, or a stream at its start.
Reopen = Callable[[], AbstractContextManager[Path | BinaryIO]]


@dataclass(frozen=True, kw_only=True)
class EncodedVideo(VideoSource):
    """A video that FFmpeg decodes.

    Attributes:
        start: when the first frame is shown on the file's own clock, in seconds; sound is measured against it.
    """

    start: Fraction
    reopen: Reopen = field(repr=False)

    @contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """The file, opened once more. What is raised inside the ``with`` block passes as it is.

        Raises:
            InputError: it has gone or changed.
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
                        f'{self.name} changes its size: frame {index} has {pixels.shape[1]} x {pixels.shape[0]} pixels,'
                        f' those before it {self.width} x {self.height}. Convert it to one size first.'
                    )
                stamp = seconds_of(frame)
                elapsed = time + step if stamp is None else stamp - self.start
                # Damaged or missing time stamps: the frame follows the one before it at the average pace.
                time = elapsed if elapsed > time else time + step
                yield TimedFrame(pixels, time)


def open_file(path: str | os.PathLike[str]) -> EncodedVideo:
    """The video in a file.

    Raises:
        InputError: missing, not a video, or not one frame of it can be decoded.
    """
    location = checked_file(path)
    return _probe(lambda: nullcontext(location), video_file_name(path))


def open_bytes(data: bytes, name: str) -> EncodedVideo:
    """The video whose encoded ``data`` is in memory; errors as in ``open_file``."""
    if not data:
        raise InputError(f'{name} is empty (zero bytes). Give the whole content of a video file.')
    return _probe(lambda: io.BytesIO(data), name)


def open_url(url: str) -> EncodedVideo:
    """The video behind an http(s) address, kept in a temporary file as long as the result lives.

    Raises:
        InputError: the download fails or is larger than ``MAX_DOWNLOAD`` bytes, or as in ``open_file``.
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
    """Removes the file when nobody holds it any more."""

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
    """Decode the first frame: only it tells how the video is turned, and whether it can be decoded at all."""
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
