"""When each frame of a video is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.media.limits import MAX_FPS, MIN_FPS

#: Time unit of a written MP4 of variable rate, in seconds.
TICK = Fraction(1, 90_000)
# Fine enough to recover the NTSC rates (30000/1001 and the like) from a float.
_MAX_DENOMINATOR = 60 * 1001
# WebM and Matroska count in milliseconds, so times that are off by no more than that count as regular.
_SLACK = Fraction(1, 1000)


@dataclass(frozen=True)
class Timing:
    """A clock for frames: ``rate`` frames per second or, if given, ``times`` in seconds from the first frame.

    ``last`` is how long the last of the ``times`` is shown, in seconds; None means as long as ``rate`` says.
    """

    rate: Fraction
    times: tuple[Fraction, ...] | None = None
    last: Fraction | None = None

    def start(self, index: int) -> Fraction:
        """The time, in seconds, at which frame ``index`` appears."""
        return index / self.rate if self.times is None else self.times[index]

    def end(self, index: int) -> Fraction:
        """The time, in seconds, at which the next frame replaces frame ``index``, or the video ends."""
        if self.times is None or index + 1 == len(self.times):
            return self.start(index) + (self.last or 1 / self.rate)
        return self.times[index + 1]


def is_constant_rate(times: Sequence[Fraction | float], fps: Fraction | float) -> bool:
    """Whether ``times``, in seconds from the first frame, match a steady ``fps``, give or take a millisecond."""
    return all(abs(Fraction(time) - index / Fraction(fps)) <= _SLACK for index, time in enumerate(times))


def checked_timing(
    fps: float, times: Sequence[Fraction | float] | None, last_duration: Fraction | float | None = None
) -> Timing:
    """The clock for a file. It is steady whenever ``times`` and ``last_duration`` allow it.

    Args:
        fps: frames per second, 0.001..1000.
        times: seconds from the first frame. They start at 0 and increase by at least a ``TICK`` from frame to frame.
            None for a steady rate.
        last_duration: how long the last of the ``times`` is shown, in seconds. None means as long as ``fps`` says. A
            steady video may end late but not early: many files do not tell how long their last frame lasts.

    Raises:
        InputError: ``fps``, ``times`` or ``last_duration`` are anything else.
    """
    rate = checked_rate(fps)
    if times is None:
        return Timing(rate)
    if isinstance(times, (str, bytes)) or not isinstance(times, (Sequence, np.ndarray)):
        raise InputError(f'times must be a list of seconds, one per frame, found {type(times).__name__}.')
    exact = tuple(_seconds(index, time) for index, time in enumerate(times))
    if exact and exact[0] != 0:
        raise InputError(
            f'times must count from the first frame, found {times[0]!r} for it. Subtract this value from all times.'
        )
    for index, (earlier, later) in enumerate(pairwise(exact), start=1):
        if round(later / TICK) <= round(earlier / TICK):
            raise InputError(
                f'times must increase by at least 1/{TICK.denominator} s from frame to frame, found {times[index]!r} '
                f'for frame {index} after {times[index - 1]!r}.'
            )
    last = None if last_duration is None else _duration(last_duration)
    if is_constant_rate(exact, rate) and (last is None or last <= 1 / rate + _SLACK):
        return Timing(rate)
    return Timing(rate, exact, last)


def checked_rate(fps: float) -> Fraction:
    """``fps`` as an exact number of frames per second.

    Raises:
        InputError: ``fps`` is not a number from 0.001 to 1000.
    """
    if not _is_number(fps) or not MIN_FPS <= fps <= MAX_FPS:
        raise InputError(f'fps must be a number of frames per second from {MIN_FPS} to {MAX_FPS}, found {shown(fps)}.')
    exact = fps if isinstance(fps, Fraction) else Fraction(float(fps))
    return exact.limit_denominator(_MAX_DENOMINATOR)


def _duration(seconds: Any) -> Fraction:
    if not _is_number(seconds) or seconds < TICK:
        raise InputError(
            f'last_duration must be a number of seconds of at least 1/{TICK.denominator}, or None, found {seconds!r}.'
        )
    return seconds if isinstance(seconds, Fraction) else Fraction(float(seconds))


def _seconds(index: int, time: Any) -> Fraction:
    if not _is_number(time):
        raise InputError(f'times must be finite numbers of seconds, found {shown(time)} for frame {index}.')
    return time if isinstance(time, Fraction) else Fraction(float(time))


def _is_number(value: Any) -> bool:
    valid = isinstance(value, (Real, np.number)) and not isinstance(value, (bool, np.bool_, np.complexfloating))
    try:
        return valid and math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
