"""Videos that FFmpeg decodes, wherever the encoded data is."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background
from modelscope_i2v.media.reading.clock import DecodingOrderClock, frame_rate, needs_decoding_order
from modelscope_i2v.media.reading.colours import describe, is_invisible, rgb_pixels
from modelscope_i2v.media.reading.containers import checked_file, open_input
from modelscope_i2v.media.reading.decoding import decode_frames, duration_of, seconds_of
from modelscope_i2v.media.reading.deinterlacing import deinterlaced
from modelscope_i2v.media.reading.source import TimedFrame, VideoSource
from modelscope_i2v.media.reading.streams import video_stream
from modelscope_i2v.media.reading.upright import Orientation
from modelscope_i2v.media.recipe import recipe_in

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

_log = logging.getLogger(__name__)

#: Opens the encoded data again. Yields a path, or a stream at its start.
Reopen = Callable[[], AbstractContextManager[Path | BinaryIO]]


@dataclass(frozen=True, kw_only=True)
class EncodedVideo(VideoSource):
    """A video that FFmpeg decodes.

    Attributes:
        start: the time of the first frame in seconds on the file's own clock. Times of the sound are relative to it.
        orientation: how its frames are turned upright.
        decoding_order: whether frames are shown at the times at which they are decoded (see ``clock``).
        background: what shows through transparent parts.
    """

    start: Fraction
    orientation: Orientation
    decoding_order: bool
    background: Background
    reopen: Reopen = field(repr=False)

    @contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """Open the file again. Exceptions raised inside the ``with`` block pass through unchanged.

        Raises:
            InputError: the file no longer exists or has changed.
        """
        with _opened(self.reopen, self.name) as container:
            yield container

    def decoded(self, container: InputContainer) -> Iterator[av.VideoFrame]:
        """The frames of the opened file, whole ones and at their own times."""
        clock = DecodingOrderClock(container) if self.decoding_order else None
        return decode_frames(container, video_stream(container, self.name), self.name, clock)

    def frames(self) -> Iterator[TimedFrame]:
        step = 1 / Fraction(self.fps) if self.fps else Fraction(1, 25)
        time = -step
        with self.opened() as container:
            for index, frame in enumerate(deinterlaced(self.decoded(container), self.name)):
                if index == 0 and describe(frame).is_hdr:
                    _log.warning('%s is HDR; its colours are converted to those of an ordinary screen.', self.name)
                pixels = self.orientation.upright(rgb_pixels(frame, self.name, self.background))
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
                yield TimedFrame(pixels, time, duration_of(frame))


def reopener(path: str | os.PathLike[str]) -> Reopen:
    """Opens the video file at ``path``, which is checked now: see ``checked_file``."""
    location = checked_file(path)
    return lambda: nullcontext(location)


def open_encoded(reopen: Reopen, name: str, background: Background) -> EncodedVideo:
    """Open a video. Its first frame is decoded: only this shows how it is rotated, and whether it can be decoded.

    Raises:
        InputError: the data is not a video, or none of its frames can be decoded.
    """
    with _opened(reopen, name) as container:
        decoding_order = needs_decoding_order(container, video_stream(container, name))
    with _opened(reopen, name) as container:
        clock = DecodingOrderClock(container) if decoding_order else None
        stream = video_stream(container, name)
        with closing(decode_frames(container, stream, name, clock)) as frames:  # type: ignore[type-var]
            first = next(frames)
        if stream.codec_context.name == 'rawvideo' and is_invisible(first):
            background = None  # screen recorders leave the fourth byte of a pixel empty
        orientation = Orientation.of(first)
        height, width = orientation.upright(rgb_pixels(first, name, background)).shape[:2]
        shape = stream.sample_aspect_ratio or Fraction(1)
        if orientation.turned:
            shape = 1 / shape
        rate = frame_rate(container, stream)
        return EncodedVideo(
            name=name,
            width=width,
            height=height,
            aspect=float(width * shape / height),
            fps=float(rate) if rate else None,
            sound_tracks=len(container.streams.audio),
            recipe=recipe_in(container),
            start=seconds_of(first) or Fraction(0),
            orientation=orientation,
            decoding_order=decoding_order,
            background=background,
            reopen=reopen,
        )


@contextmanager
def _opened(reopen: Reopen, name: str) -> Iterator[InputContainer]:
    with reopen() as source, open_input(source, name) as container:
        yield container
