"""What a server takes on: limits of requests, of the queue, and of what it keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelscope_i2v.checks import integer, number
from modelscope_i2v.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of an engine.

    Attributes:
        content: bytes of one picture or video that is sent.
        aspect: of what is sent: how many times as long as the shorter side the longer one may be. Of anything narrower
            hardly a part would be seen.
        pixels: of one frame of a result.
        frames: of a result, and of a video that is sent.
        steps: solver steps of one stage.
        text: characters of one text.
        queue: jobs that wait. The ones that run do not count.
        kept_bytes: bytes of all results; the oldest ones are deleted first.
        kept_seconds: how long a result is kept.

    Raises:
        InputError: for a limit that is not a positive number.
    """

    content: int = 32 * 2**20
    aspect: float = 20.0
    pixels: int = 1920 * 1088
    frames: int = 128
    steps: int = 200
    text: int = 4000
    queue: int = 16
    kept_bytes: int = 10 * 2**30
    kept_seconds: float = 7 * 24 * 3600.0

    def __post_init__(self) -> None:
        for name in ('content', 'pixels', 'frames', 'steps', 'text', 'queue', 'kept_bytes'):
            integer(name, getattr(self, name), 1, error=InputError)
        number('aspect', self.aspect, 1, math.inf, error=InputError)
        number('kept_seconds', self.kept_seconds, 0, math.inf, open_low=True, error=InputError)
