"""Decodes the frames of an opened video and reports any damage in the middle of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.clock import DecodingOrderClock
from modelscope_i2v.media.reading.containers import reason_of
from modelscope_i2v.media.reading.streams import duration_tag

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_log = logging.getLogger(__name__)

# Some headers give a duration instead of a frame count. It may exceed the end of the last frame by this many seconds:
# headers round, and at a variable rate a header may show the last frame for longer than the decoder knows.
_MISSING = 0.25


def decode_frames(
    container: InputContainer, stream: VideoStream, name: str, clock: DecodingOrderClock | None = None
) -> Iterator[av.VideoFrame]:
    """All frames in display order.

    Recordings of broadcasts may begin in the middle of a group of frames, so packets that cannot be decoded before the
    first frame are skipped. After that nothing is skipped: a shortened video would have the wrong length. Frames that
    the decoder could repair are used, with a warning.

    Args:
        clock: replaces the time stamps of the frames; None keeps them.

    Raises:
        InputError: the video is damaged or cut off (the message gives the number of the first lost frame), or no frame
            can be decoded.
    """
    import av

    count = 0
    problem = ''
    mended = False
    promised = _promised(stream, container)
    end = Fraction(0)
    decoder = decoder_of(stream)
    try:
        for packet in container.demux(stream):
            promised -= packet.size > 0
            if clock is not None:
                clock.sent(packet)
            try:
                frames = packet.decode() if decoder is None else decoder.decode(packet if packet.size else None)
            except av.error.FFmpegError as error:
                if count:
                    raise
                problem = f' ({reason_of(error)})'
                if clock is not None:
                    clock.lost()
                continue
            for frame in frames:
                if frame.is_corrupt and not mended:
                    mended = True
                    _log.warning('%s: frame %d is damaged and was repaired by the decoder.', name, count)
                if clock is not None:
                    clock.stamp(frame)
                yield frame
                count += 1
                end = max(end, _end(frame))  # a frame without a time ends nowhere
    except av.error.FFmpegError as error:
        problem = f' ({reason_of(error)})'
        if count:
            raise _damaged(name, count, problem) from error
    if not count:
        raise InputError(
            f'{name} has no frames that can be decoded{problem}. Save or download it again, or convert it to H.264 in '
            f'MP4.'
        )
    if promised > 0 or end < (declared_end(container, stream) or 0) - _MISSING:
        raise _damaged(name, count, '')


def decoder_of(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder for transparent WebM, of which FFmpeg's own decoders ignore the transparency; None for all others."""
    import av

    name = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}.get(stream.codec_context.codec.canonical_name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or tags.get('alpha_mode') != '1':
        return None
    decoder = av.CodecContext.create(name, 'r')
    decoder.extradata = stream.codec_context.extradata
    return decoder  # type: ignore[return-value]


def seconds_of(frame: av.VideoFrame) -> Fraction | None:
    """The time at which ``frame`` is shown, in seconds on the file's own clock."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def duration_of(frame: av.VideoFrame) -> Fraction | None:
    """How many seconds the file wants ``frame`` shown; None if it does not say."""
    return frame.duration * frame.time_base if frame.duration > 0 and frame.time_base is not None else None


def _damaged(name: str, count: int, problem: str) -> InputError:
    return InputError(
        f'{name} is damaged or cut off: frame {count} cannot be read{problem}, but the frames before it can. Save or '
        f'download it again, or use only the readable frames: num_frames={count}.'
    )


def _promised(stream: VideoStream, container: InputContainer) -> int:
    """The number of packets in an MP4's index. Unlike the frame count, the index already reflects edit lists."""
    if 'mp4' not in container.format.name:
        return 0
    return sum(entry.size > 0 for entry in stream.index_entries)


def declared_end(container: InputContainer, stream: VideoStream) -> float | None:
    """The end of the video in seconds, if the beginning of the file states it independently of the data that follows.

    None otherwise.
    """
    import av

    if container.format.name == 'avi' and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)
    if 'matroska' not in container.format.name:
        return None
    tag = duration_tag(stream)
    if tag is not None:
        return tag
    # The duration of the whole file may be the duration of the sound.
    alone = len(container.streams) == 1
    return container.duration / av.time_base if alone and container.duration else None


def _end(frame: av.VideoFrame) -> Fraction:
    return (seconds_of(frame) or Fraction(0)) + frame.duration * (frame.time_base or 0)
