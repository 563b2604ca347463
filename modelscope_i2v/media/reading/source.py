"""The interface of every video to read, wherever its frames come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TimedFrame:
    """One frame: ``pixels`` uint8 RGB ``[H, W, 3]``, upright, and when it is shown.

    Attributes:
        time: seconds since the first frame, if known. The times of one video start at 0 and strictly increase.
        duration: how many seconds the file wants it shown, if it says so.
    """

    pixels: np.ndarray
    time: Fraction | None
    duration: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class VideoSource(ABC):
    """A video that can be read any number of times. Nothing stays open between reads.

    Attributes:
        name: the name that messages use for the video.
        width, height: size of a frame in pixels as displayed, upright.
        aspect: displayed width divided by displayed height; differs from ``width / height`` if pixels are not square.
        fps: average frames per second; None if there are no time stamps (images and arrays).
        sound_tracks: the number of sound tracks.
        recipe: how the video was made, one dict per stage (see ``reading.info.read_recipe``); empty if unknown.
    """

    name: str
    width: int
    height: int
    aspect: float
    fps: float | None
    sound_tracks: int
    recipe: list[dict[str, Any]]

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track."""
        return self.sound_tracks > 0

    @abstractmethod
    def frames(self) -> Iterator[TimedFrame]:
        """The frames from first to last. Every call reads or decodes them again, with one frame in memory at a time.

        Raises:
            InputError: on reaching a frame that cannot be read or differs in size.
        """
