"""Small pictures of a video: one frame, or all of them on one sheet."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.sheet import video_sheet

#: Largest width and height of a thumbnail and of a frame on a sheet, in pixels.
THUMBNAIL, ON_SHEET = 512, 160


def thumbnail(video: Path) -> bytes:
    """The first frame as WebP; raises InputError if the video cannot be read."""
    frame = Image.fromarray(next(open_video(video).frames()).pixels)
    frame.thumbnail((THUMBNAIL, THUMBNAIL))
    return _encoded(frame, 'WEBP')


def spritesheet(video: Path) -> bytes:
    """The frames as JPEG, row by row, in about a square; raises InputError if the video cannot be read."""
    return _encoded(video_sheet(open_video(video), ON_SHEET), 'JPEG')


def animation(frames: np.ndarray, fps: float) -> bytes:
    """uint8 RGB frames ``[F, h, w, 3]`` as an animated WebP."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    file = io.BytesIO()
    first.save(
        file, 'WEBP', save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, quality=80, method=0
    )
    return file.getvalue()


def _encoded(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=85)
    return file.getvalue()
