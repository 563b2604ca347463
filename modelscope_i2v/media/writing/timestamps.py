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

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.limits import MAX_FPS, MIN_FPS

#: Seconds in which a written MP4 of variable rate counts.
TICK = Fraction(1, 90_000)
# Fine enough to find the NTSC rates (30000/1001 and its kin) behind a float again.
_MAX_DENOMINATOR = 60 * 1001
# WebM and Matroska count in milliseconds: what is off by less was meant to be regular.
_SLACK = Fraction(1, 1000)


@dataclass(frozen=True)
class Timing:
    """A clock for frames: ``rate`` frames a second, or, where given, ``times`` in seconds from the first frame.

    ``rate`` also says how long the last frame stays.
    """

    rate: Fraction
    times: tuple[Fraction, ...] | None = None

    def start(self, index: int) -> Fraction:
        """When frame ``index`` appears, in seconds."""
        return index / self.rate if self.times is None else self.times[index]

    def end(self, index: int) -> Fraction:
        """When frame ``index`` gives way to the next one, or the video ends, in seconds."""
        if self.times is None or index + 1 == len(self.times):
            return self.start(index) + 1 / self.rate
        return self.times[index + 1]


def is_constant_rate(times: Sequence[Fraction | float], fps: Fraction | float) -> bool:
    """Whether ``times``, in seconds from the first frame, are a steady ``fps``, give or take a millisecond."""
    return all(abs(Fraction(time) - index / Fraction(fps)) <= _SLACK for index, time in enumerate(times))


def checked_timing(fps: float, times: Sequence[Fraction | float] | None) -> Timing:
    """The clock for a file: a steady one wherever ``times`` allow it.

    Args:
        fps: frames a second, 0.001..1000.
        times: seconds from the first frame, rising from 0 by at least a ``TICK`` each; None for a steady rate.

    Raises:
        InputError: anything else.
    """
    rate = checked_rate(fps)
    if times is None:
        return Timing(rate)
    if isinstance(times, (str, bytes)) or not isinstance(times, (Sequence, np.ndarray)):
        raise InputError(f'times must be a list of seconds, one a frame, found a {type(times).__name__}.')
    exact = tuple(_seconds(index, time) for index, time in enumerate(times))
    if exact and exact[0] != 0:
        raise InputError(f'times count from the first frame, found {times[0]!r} for it. Subtract it from all of them.')
    for index, (earlier, later) in enumerate(pairwise(exact), start=1):
        if round(later / TICK) <= round(earlier / TICK):
            raise InputError(
                f'times must rise by at least 1/{TICK.denominator} s from frame to frame, found {times[index]!r} for '
                f'frame {index} after {times[index - 1]!r}.'
            )
    return Timing(rate) if is_constant_rate(exact, rate) else Timing(rate, exact)


def checked_rate(fps: float) -> Fraction:
    """``fps`` as an exact number of frames a second.

    Raises:
        InputError: not a number from 0.001 to 1000.
    """
    if not _is_number(fps) or not MIN_FPS <= fps <= MAX_FPS:
        raise InputError(f'fps must be a number of frames a second from {MIN_FPS} to {MAX_FPS}, found {fps!r}.')
    exact = fps if isinstance(fps, Fraction) else Fraction(float(fps))
    return exact.limit_denominator(_MAX_DENOMINATOR)


def _seconds(index: int, time: Any) -> Fraction:
    if not _is_number(time):
        raise InputError(f'times must be finite numbers of seconds, found {time!r} for frame {index}.')
    return time if isinstance(time, Fraction) else Fraction(float(time))


def _is_number(value: Any) -> bool:
    valid = isinstance(value, (Real, np.number)) and not isinstance(value, (bool, np.bool_, np.complexfloating))
    return valid and math.isfinite(value)
