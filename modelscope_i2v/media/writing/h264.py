"""Encodes frames as H.264 in an MP4 container that every browser plays."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelscope_i2v.errors import InputError
from modelscope_i2v.files import output_errors
from modelscope_i2v.media.limits import MAX_SIDE
from modelscope_i2v.media.reading.containers import file_url
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.sound.track import sound_track
from modelscope_i2v.media.writing.timestamps import TICK, Timing

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# The number of encoding threads changes the bytes slightly. It is fixed, so every machine writes the same file.
_THREADS = 4
# Codes of ITU-T H.273: BT.709 matrix, primaries and transfer curve; limited (1) and full (2) range as FFmpeg counts.
_BT709 = 1
_LIMITED, _FULL = 1, 2


def write_h264(
    frames: Iterator[np.ndarray],
    path: Path,
    *,
    named: Path,
    timing: Timing,
    crf: int,
    comment: str,
    sound: VideoSource | None = None,
    track: int | None = None,
) -> None:
    """Encode ``frames`` one by one to ``path`` as H.264 / yuv420p / BT.709 with the index in front (faststart).

    Args:
        frames: at least one uint8 RGB ``[H, W, 3]``, all of the same size. If the height or width is odd, the last row
            or column is doubled.
        path: the file to overwrite.
        named: the path that messages show.
        timing: when each frame is shown.
        crf: x264's constant rate factor.
        comment: text of the comment tag; empty for none.
        sound: a video whose sound is added to the frames.
        track: which of its sound tracks, counted from 0; None takes the first one that can be used.

    Raises:
        InputError: a side is longer than ``MAX_SIDE``.
        OutputError: FFmpeg cannot write the file.
    """
    import av

    failures = partial(output_errors, named, av.error.FFmpegError)
    first = next(frames)
    if max(first.shape) > MAX_SIDE:
        raise InputError(
            f'Frames of {first.shape[1]} x {first.shape[0]} pixels are too large for H.264, which allows at most '
            f'{MAX_SIDE} pixels per side. Reduce the height or width.'
        )
    with failures():
        # Always use the MP4 muxer: the one for .mov truncates long comments at 64 KiB.
        container = av.open(file_url(path), 'w', format='mp4', options={'movflags': '+faststart'})
    try:
        with failures():
            if comment:
                container.metadata['comment'] = comment
            stream = _add_stream(container, first.shape, timing, crf)
        # Only the calls to FFmpeg are guarded: errors raised by the caller's iterable pass through unchanged.
        with sound_track(sound, track, container) as heard:
            end = Fraction(0)
            for index, frame in enumerate(chain([first], frames)):
                end = timing.end(index)
                with failures():
                    container.mux(_timed(stream.encode(_picture(frame, index, timing)), timing))
                    if heard is not None:
                        heard.write_until(end)
            with failures():
                container.mux(_timed(stream.encode(None), timing))
                if heard is not None:
                    heard.finish(end)
                container.close()
    except BaseException:
        with suppress(OSError, ValueError, av.error.FFmpegError):
            container.close()
        raise


def _add_stream(container: OutputContainer, shape: tuple[int, ...], timing: Timing, crf: int) -> VideoStream:
    # mbtree is off: it reads uninitialised memory, so equal input would not always give equal bytes. At this quality
    # it saves nothing.
    options = {'crf': str(crf), 'preset': 'medium', 'mbtree': '0'}
    if timing.times is not None:
        # No B-frames: reordered frames need a head start, which differs from their delay if the rate varies.
        options['bf'] = '0'
    stream = container.add_stream('libx264', rate=timing.rate, options=options)
    stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
    stream.pix_fmt = 'yuv420p'
    context = stream.codec_context
    if timing.times is not None:
        context.time_base = TICK
    context.thread_count = _THREADS
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    return stream


def _timed(packets: list[Packet[VideoStream]], timing: Timing) -> list[Packet[VideoStream]]:
    """``packets``, with durations filled in if the rate is variable: the encoder does not know them."""
    if timing.times is not None:
        for packet in packets:
            index = bisect_left(timing.times, packet.pts or 0, key=_ticks)
            packet.duration = _ticks(timing.end(index)) - (packet.pts or 0)
    return packets


def _picture(frame: np.ndarray, index: int, timing: Timing) -> av.VideoFrame:
    import av
    from av.video.reformatter import Interpolation

    even = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode='edge')
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format='rgb24').reformat(
        format='yuv420p',
        src_color_range=_FULL,
        dst_color_range=_LIMITED,
        dst_colorspace=_BT709,
        dst_color_primaries=_BT709,
        dst_color_trc=_BT709,
        # Exact and identical on every processor. The default takes shortcuts that differ between processors.
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
        threads=1,
    )
    if timing.times is None:
        picture.pts, picture.time_base = index, 1 / timing.rate
    else:
        picture.pts, picture.time_base = _ticks(timing.start(index)), TICK
    return picture


def _ticks(time: Fraction) -> int:
    return round(time / TICK)
