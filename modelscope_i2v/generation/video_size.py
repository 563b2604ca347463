"""The size of the video that a call makes, and what is known of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from PIL import Image

from modelscope_i2v.media.reading.source import VideoSource


@dataclass(frozen=True)
class VideoSize:
    """What the networks process: ``frames`` (None: as many as the input has) of ``height`` x ``width`` pixels."""

    frames: int | None
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.height * self.width


@dataclass(frozen=True)
class InputSize:
    """What an input video or picture decides.

    Attributes:
        aspect: displayed width divided by displayed height.
        count: ``most -> number of frames``, but at most ``most``; a picture has one.
    """

    aspect: float
    count: Callable[[int], int]

    @classmethod
    def of(cls, opened: Any) -> InputSize | None:
        """The size of an opened video or picture; None for any other input, which decides nothing."""
        if isinstance(opened, Image.Image):
            return cls(opened.width / opened.height, lambda most: min(most, 1))
        if not isinstance(opened, VideoSource):
            return None
        return cls(opened.aspect, lambda most: sum(1 for _ in islice(opened.frames(), most)))
