"""Animated WebP and AVIF as videos. FFmpeg cannot read them, but Pillow can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background
from modelscope_i2v.media.images.decoding import BROKEN, upright_rgb
from modelscope_i2v.media.images.size import prepare_decoding
from modelscope_i2v.media.reading.encoded import Reopen
from modelscope_i2v.media.reading.source import TimedFrame, VideoSource

# What browsers make of a frame without a duration, in milliseconds.
_DEFAULT_DURATION = 100
# Where the flags of a WebP end, and the one for animation.
_HEAD, _ANIMATED = 21, 0b10


@dataclass(frozen=True, kw_only=True)
class AnimatedPicture(VideoSource):
    """The frames of an animated picture, with the durations that the file gives them.

    Attributes:
        count: the number of frames.
        codec: ``'webp'`` or ``'avif'``.
        background: what shows through transparent parts.
    """

    count: int
    codec: str
    background: Background
    reopen: Reopen = field(repr=False)

    def frames(self) -> Iterator[TimedFrame]:
        time = Fraction(0)
        with _opened(self.reopen, self.name) as picture:
            for index in range(self.count):
                duration = _show(picture, index, self.name)
                pixels = np.array(upright_rgb(picture, f'Frame {index} of {self.name}', self.background))
                yield TimedFrame(pixels, time, duration)
                time += duration


def is_animation(reopen: Reopen) -> bool:
    """Whether the data begins as a picture of several frames that only Pillow can read."""
    with reopen() as source:
        if isinstance(source, Path):
            with source.open('rb') as file:
                start = file.read(_HEAD)
        else:
            start = source.read(_HEAD)
    webp = start[:4] == b'RIFF' and start[8:16] == b'WEBPVP8X'
    return start[4:12] == b'ftypavis' or (webp and len(start) == _HEAD and bool(start[20] & _ANIMATED))


def open_animation(reopen: Reopen, name: str, background: Background) -> AnimatedPicture:
    """Open an animated picture for which ``is_animation`` is true.

    Raises:
        InputError: its frames are too large, or cannot be decoded.
    """
    with _opened(reopen, name) as picture:
        count = int(getattr(picture, 'n_frames', 1))
        durations = [_show(picture, index, name) for index in range(count)]
        picture.seek(0)
        width, height = upright_rgb(picture, name, background).size
    return AnimatedPicture(
        name=name,
        width=width,
        height=height,
        aspect=width / height,
        fps=float(count / sum(durations, Fraction(0))),
        sound_tracks=0,
        recipe=[],
        count=count,
        codec=str(picture.format).lower(),
        background=background,
        reopen=reopen,
    )


def _show(picture: Image.Image, index: int, name: str) -> Fraction:
    """Go to frame ``index`` and decode it. Returns how long it is shown, in seconds."""
    try:
        picture.seek(index)
        picture.load()
    except BROKEN as error:
        raise InputError(
            f'{name} is damaged or cut off: frame {index} cannot be read ({error}), but the frames before it can. Save '
            f'or download it again.'
        ) from error
    return Fraction(round(picture.info.get('duration', 0)) or _DEFAULT_DURATION, 1000)


@contextmanager
def _opened(reopen: Reopen, name: str) -> Iterator[Image.Image]:
    with reopen() as source:
        try:
            picture = Image.open(source)
        except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise InputError(
                f'{name} cannot be read as an animated picture ({error}). It may be damaged or cut off: save or '
                f'download it again.'
            ) from error
        with picture:
            prepare_decoding(picture, name)
            yield picture
