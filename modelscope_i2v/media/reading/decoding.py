"""Decoding the frames of an opened video, with everything that can be wrong in the middle of it told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.containers import reason_of

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

_log = logging.getLogger(__name__)

# Seconds by which a header that tells a duration, not a number of frames, may exceed the end of the last one: headers
# round, and the last frame of a variable rate may be said to stay longer than the decoder knows.
_MISSING = 0.25


def decode_frames(container: InputContainer, stream: VideoStream, name: str) -> Iterator[av.VideoFrame]:
    """All frames in the order in which they are shown.

    Recordings of broadcasts begin in the middle of something: what cannot be decoded before the first frame is passed
    over. After that nothing is: a shortened video would have the wrong length. Frames that the decoder could mend are
    taken, with a warning.

    Raises:
        InputError: damaged or cut off (with the number of the first frame that is lost), or not one frame.
    """
    import av

    count = 0
    problem = ''
    mended = False
    promised = _promised(stream, container)
    end = Fraction(0)
    try:
        for packet in container.demux(stream):
            promised -= packet.size > 0
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if count:
                    raise
                problem = f' ({reason_of(error)})'
                continue
            for frame in frames:
                if frame.is_corrupt and not mended:
                    mended = True
                    _log.warning('%s: frame %d is damaged and was mended by the decoder.', name, count)
                yield frame
                count += 1
                end = _end(frame)
    except av.error.FFmpegError as error:
        problem = f' ({reason_of(error)})'
        if count:
            raise _damaged(name, count, problem) from error
    if not count:
        raise InputError(
            f'{name} holds no frames that can be decoded{problem}. Write or download it again, or convert it to H.264 '
            f'in MP4.'
        )
    if promised > 0 or end < (_declared_end(stream, container) or 0) - _MISSING:
        raise _damaged(name, count, '')


def seconds_of(frame: av.VideoFrame) -> Fraction | None:
    """When ``frame`` is shown, on the file's own clock, in seconds."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def _damaged(name: str, count: int, problem: str) -> InputError:
    return InputError(
        f'{name} is damaged or cut off: frame {count} cannot be read{problem}, the frames before it can. Write or '
        f'download it again, or use what is left: num_frames={count}.'
    )


def _promised(stream: VideoStream, container: InputContainer) -> int:
    """How many packets an MP4's index lists; edit lists are applied to it already, unlike to its frame count."""
    if 'mp4' not in container.format.name:
        return 0
    return sum(entry.size > 0 for entry in stream.index_entries)


def _declared_end(stream: VideoStream, container: InputContainer) -> float | None:
    """The end of the video in seconds, where the beginning of the file tells it without regard to what follows."""
    import av

    if container.format.name == 'avi' and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)
    if 'matroska' not in container.format.name:
        return None
    hours, _, rest = stream.metadata.get('DURATION', '').partition(':')
    minutes, _, seconds = rest.partition(':')
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        # The duration of the whole may be that of the sound.
        alone = len(container.streams) == 1
        return container.duration / av.time_base if alone and container.duration else None


def _end(frame: av.VideoFrame) -> Fraction:
    return (seconds_of(frame) or Fraction(0)) + frame.duration * (frame.time_base or 0)
