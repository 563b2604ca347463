"""What every video to read offers, wherever its frames come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TimedFrame:
    """One frame: ``pixels`` uint8 RGB ``[H, W, 3]``, upright, and ``time`` in seconds since the first frame, if known.

    The times of one video rise strictly from 0.
    """

    pixels: np.ndarray
    time: Fraction | None


@dataclass(frozen=True, kw_only=True)
class VideoSource(ABC):
    """A video to read, as often as wanted; nothing stays open between readings.

    Attributes:
        name: what messages call it.
        width, height: pixels of a frame as it is shown, upright.
        aspect: shown width by shown height; differs from ``width / height`` where pixels are not square.
        fps: average frames a second; None where there is no clock (images and arrays).
        has_sound: whether there is an audio track.
        recipe: how the video was made, one dict a stage (see ``reading.info.read_recipe``); empty where unknown.
    """

    name: str
    width: int
    height: int
    aspect: float
    fps: float | None
    has_sound: bool
    recipe: list[dict[str, Any]]

    @abstractmethod
    def frames(self) -> Iterator[TimedFrame]:
        """The frames from the first to the last, read or decoded anew at every call, one in memory at a time.

        Raises:
            InputError: at the frame that cannot be read or differs in size.
        """
