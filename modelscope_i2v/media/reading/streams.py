"""Chooses the video and the sound in a file that has several of either."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from modelscope_i2v.errors import InputError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

    AnyStream = TypeVar('AnyStream', bound=Stream)

# FFmpeg reads single images as one-frame videos, and renders text as terminal output.
_NOT_VIDEOS = ('image2', 'tty')
# Still pictures in an MP4-like container: AVIF and HEIF.
_PICTURE_BRANDS = ('avif', 'heic', 'heix', 'mif1')
# A stream that lasts less than this share of the longest one is a thumbnail.
_SHORT = 0.1


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The video of an opened file: the default one, or else the largest. Covers and thumbnails do not count.

    Raises:
        InputError: the file is a picture, has only sound, or uses a codec that cannot be decoded here.
    """
    kind = container.format.name
    brand = container.metadata.get('major_brand', '')
    if kind.endswith('_pipe') or kind in _NOT_VIDEOS or brand in _PICTURE_BRANDS:
        raise InputError(
            f'{name} is not a video (FFmpeg identifies it as {brand or kind!r}). Give a video file. To animate a '
            f'picture, use image-to-video first.'
        )
    real = [stream for stream in container.streams.video if not _is_still(stream)]
    decodable = [stream for stream in real if stream.codec_context is not None]
    if decodable:
        # A thumbnail track without a mark of its own has a single frame, or is over at once.
        shortest = _SHORT * max(_length(stream) or 0 for stream in decodable)
        moving = [stream for stream in decodable if stream.frames != 1 and _lasts(stream, shortest)] or decodable
        return max(_defaults(moving), key=_area)  # the first of several equally large ones
    if real:
        raise InputError(f'{name} uses a codec that cannot be decoded here. Convert it to H.264 in MP4.')
    raise InputError(f'{name} has no video stream. Give a file that contains video, not only sound.')


def sound_streams(container: InputContainer) -> list[AudioStream]:
    """The sound tracks of an opened file: the default ones, then the others, both in their order."""
    streams = list(container.streams.audio)
    defaults = _defaults(streams)
    return sorted(streams, key=lambda stream: stream not in defaults)


def _defaults(streams: list[AnyStream]) -> list[AnyStream]:
    from av.stream import Disposition

    return [stream for stream in streams if stream.disposition & Disposition.default] or streams


def _is_still(stream: VideoStream) -> bool:
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return bool(stream.disposition & still)


def _lasts(stream: VideoStream, seconds: float) -> bool:
    length = _length(stream)
    return length is None or length >= seconds


def _length(stream: VideoStream) -> float | None:
    """Seconds that the header gives a stream; None if it gives none."""
    tag = duration_tag(stream)
    if tag is None and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return tag


def duration_tag(stream: Stream) -> float | None:
    """Seconds in the DURATION tag of a Matroska stream; None without a tag, or if it holds something else."""
    # A year is shorter than four digits of hours.
    tag = re.fullmatch(r'([0-9]{1,4}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]*)?)', stream.metadata.get('DURATION', ''))
    return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) if tag else None


def _area(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height
