"""The clock of stage 2's output: its frame rate, the time of each frame, and whether the sound still fits."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from fractions import Fraction

from modelscope_i2v.media.reading.source import VideoSource

logger = logging.getLogger(__name__)

#: Rates this close are equal: 29.97 means 30000/1001. In an hour, this tolerance amounts to 36 ms.
SAME_RATE = 1e-5


@dataclass(frozen=True)
class Clock:
    """How the output plays.

    Attributes:
        fps: frames per second.
        times: the time of each frame in seconds; None if they follow from ``fps``.
        last_duration: how many seconds the last frame is shown; None if that follows from ``fps``.
        sound: the video whose sound is kept, if any.
    """

    fps: float
    times: list[Fraction] | None
    last_duration: Fraction | None
    sound: VideoSource | None


def output_clock(
    source: VideoSource,
    times: list[Fraction | None],
    last_duration: Fraction | None,
    output_fps: float | None,
    target_fps: float,
) -> Clock:
    """The clock of the input, or another frame rate, which changes the speed and drops the sound.

    Args:
        times: the times of the frames in the input.
        last_duration: how many seconds the input shows the last of them, if it says so.
        output_fps: the requested frame rate; None means the input's.
        target_fps: the frame rate for an input that has no clock.
    """
    own_fps = source.fps or target_fps
    if output_fps is None or math.isclose(output_fps, own_fps, rel_tol=SAME_RATE):
        known = [time for time in times if time is not None]
        sound = source if source.has_sound else None
        return (
            Clock(own_fps, known, last_duration, sound)
            if len(known) == len(times)
            else Clock(own_fps, None, None, sound)
        )
    if source.has_sound:
        logger.warning('The sound is left out: at %g instead of %g fps it would not fit.', output_fps, own_fps)
    return Clock(output_fps, None, None, None)
