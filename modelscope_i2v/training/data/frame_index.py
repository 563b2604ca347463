"""Single frames from a long video: find each one without decoding, and decode only the wanted ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import WHITE
from modelscope_i2v.media.reading.colours import rgb_pixels
from modelscope_i2v.media.reading.containers import checked_file, open_input, reason_of, video_file_name
from modelscope_i2v.media.reading.decoding import decoder_of
from modelscope_i2v.media.reading.encoded import EncodedVideo
from modelscope_i2v.media.reading.file import open_file
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.reading.streams import video_stream
from modelscope_i2v.media.reading.upright import Orientation

#: Time stamps may be off by this many seconds: WebM and Matroska round them to milliseconds.
TIME_SLACK = 0.0005


@dataclass(frozen=True)
class FrameIndex:
    """The times at which the frames of a video file are shown. It holds no open file and can be pickled.

    Attributes:
        path: the path of the file.
        times: float64 ``[N]``, seconds since the first frame, rising from 0.
        stamps: int64 ``[N]``, the same times in the file's own units; None if they are known only after decoding.
        end: the end of the last frame, in seconds since the start of the first one.
        width, height: the size in pixels of a frame when shown upright.
        aspect: shown width divided by shown height.
        orientation: how its frames are turned upright.
    """

    path: str
    times: np.ndarray = field(repr=False)
    stamps: np.ndarray | None = field(repr=False)
    end: float
    width: int
    height: int
    aspect: float
    orientation: Orientation

    @property
    def fps(self) -> float:
        """The average number of frames per second."""
        return len(self.times) / self.end

    def shown_at(self, times: np.ndarray) -> np.ndarray:
        """The indices (int64) of the frames that are shown at ``times``, in seconds since the first frame.

        A frame counts as shown from a millisecond before its time, because some files round to milliseconds.
        """
        return np.maximum(np.searchsorted(self.times, times + 2 * TIME_SLACK, side='right') - 1, 0)

    def read(self, wanted: Sequence[int], convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Read the frames ``wanted``. It decodes from the key frame before the first of them up to the last one.

        Args:
            wanted: at least one index, in rising order; repetitions are allowed.
            convert: applied to each frame, uint8 RGB ``[H, W, 3]``, right after decoding; only its results are kept.

        Returns:
            The results of ``convert``, stacked: ``[len(wanted), ...]``.

        Raises:
            InputError: if the file no longer exists, or a wanted frame is damaged, missing or of another size.
        """
        distinct, places = np.unique(np.asarray(wanted), return_inverse=True)
        frames = self._seek(distinct, convert)
        if frames is None:
            # Not every file supports seeking.
            frames = self._stream(distinct, convert)
        return np.stack(frames)[places]

    def _seek(self, wanted: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray] | None:
        """Find the frames by their stamps; None unless all of them are intact."""
        import av

        if self.stamps is None:
            return None
        stamps = [int(stamp) for stamp in self.stamps[wanted]]
        frames: list[np.ndarray] = []
        try:
            name = video_file_name(self.path)
            with open_input(checked_file(self.path), name) as container:
                stream = video_stream(container, name)
                container.seek(stamps[0], stream=stream)
                for frame in container.decode(stream):
                    if frame.pts is None or frame.pts < stamps[len(frames)]:
                        continue
                    if frame.pts > stamps[len(frames)]:
                        return None
                    pixels = self.orientation.upright(rgb_pixels(frame, name, WHITE))
                    # Deinterlacing needs the frames around it.
                    if frame.is_corrupt or frame.interlaced_frame or pixels.shape[:2] != (self.height, self.width):
                        return None
                    frames.append(convert(pixels))
                    if len(frames) == len(stamps):
                        return frames
        except av.error.FFmpegError:
            return None
        return None

    def _stream(self, wanted: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Find the frames by their times, decoding from the start; raises InputError for damage on the way."""
        video, times = open_file(self.path), self.times[wanted]
        frames: list[np.ndarray] = []
        with closing(video.frames()) as stream:  # type: ignore[type-var]
            for frame in stream:
                if float(frame.time or 0) >= times[len(frames)] - TIME_SLACK:
                    frames.append(convert(frame.pixels))
                if len(frames) == len(times):
                    return frames
        raise InputError(
            f'{video.name} is damaged or has changed: it should show a frame at {times[len(frames)]:.3f} s but ends '
            f'before that. Save or download it again.'
        )


def index_frames(path: str | os.PathLike[str]) -> FrameIndex:
    """Find out when each frame of a video file is shown. Decodes only the first frame if the file has time stamps.

    Raises:
        InputError: if the file is missing, not a video or cut off, or if none of its frames can be decoded.
    """
    video = open_file(path)
    step = 1 / video.fps if video.fps else 1.0
    found = _stamps(video)
    if found is None:
        stamps, times = None, np.array([float(frame.time or 0) for frame in video.frames()])
    else:
        stamps, tick, lasts, start = found
        step = lasts or step
        # Recordings of broadcasts start anywhere: frames before the first one that can be decoded are lost.
        seconds = stamps * tick - start
        shown = seconds > -TIME_SLACK
        stamps, times = stamps[shown], seconds[shown] - seconds[shown][0]
    size = (video.width, video.height, video.aspect)
    orientation = video.orientation if isinstance(video, EncodedVideo) else Orientation()
    return FrameIndex(os.fsdecode(path), times, stamps, float(times[-1]) + step, *size, orientation)


def _stamps(video: VideoSource) -> tuple[np.ndarray, float, float, float] | None:
    """The time stamps of all frames in display order, their unit in seconds, the duration of the last frame (0 if
    unknown) and the time of the first one, both in seconds. None if frames cannot be found by their stamps."""
    import av

    if not isinstance(video, EncodedVideo) or video.decoding_order:
        return None
    with video.opened() as container:
        stream = video_stream(container, video.name)
        if decoder_of(stream) is not None:
            return None
        promised = sum(entry.size > 0 for entry in stream.index_entries) if 'mp4' in container.format.name else 0
        try:
            packets = [
                (packet.pts, packet.duration or 0, packet.is_discard)
                for packet in container.demux(stream)
                if packet.size
            ]
        except av.error.FFmpegError as error:
            raise InputError(
                f'{video.name} is damaged or cut off ({reason_of(error)}). Save or download it again.'
            ) from error
        if len(packets) < promised:
            raise InputError(
                f'{video.name} is cut off: its index lists {promised} frames, but it holds only {len(packets)}. Write '
                f'or download it again.'
            )
        shown = [(stamp, duration) for stamp, duration, hidden in packets if not hidden]
        durations = {stamp: duration for stamp, duration in shown if stamp is not None}
        if not durations or any(stamp is None for stamp, _ in shown) or not stream.time_base:
            return None
        stamps, tick = sorted(durations), float(stream.time_base)
        return np.array(stamps, np.int64), tick, durations[stamps[-1]] * tick, float(video.start)
