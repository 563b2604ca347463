"""Contact sheets: frames of videos, as small pictures on one large one."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from modelscope_i2v.errors import OutputError
from modelscope_i2v.files import output_errors, output_target, probe_target, replacing
from modelscope_i2v.media.reading.source import VideoSource

#: Picture formats by the suffix of the file.
FORMATS = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG', '.webp': 'WEBP'}
#: Most frames on the sheet of one video.
MOST_FRAMES = 64
# How many frames are held while those to show are chosen. Of a video of at most twice as many, the choice is exact.
_HELD = 128


def spaced_frames(video: VideoSource, count: int, side: int) -> list[Image.Image]:
    """``count`` frames from the first to the last, evenly spaced, or all if there are fewer.

    They have the aspect of the video as displayed, and at most ``side`` pixels on the longer side. The video is read
    once, and few frames are in memory, however long it is.

    Raises:
        InputError: if the video cannot be read.
    """
    height, width = video.height, video.height * video.aspect
    size = _scaled(width, height, min(1.0, side / max(width, height)))
    held: list[Image.Image] = []
    stride, index, last = 1, -1, None
    for index, last in enumerate(video.frames()):
        if index % stride == 0 and len(held) == 2 * _HELD:
            held, stride = held[::2], 2 * stride
        if index % stride == 0:
            held.append(_resized(Image.fromarray(last.pixels), size))
    if last is not None and index % stride:
        held.append(_resized(Image.fromarray(last.pixels), size))
    shown = min(count, len(held))
    return [held[round(place * (len(held) - 1) / max(1, shown - 1))] for place in range(shown)]


def contact_sheet(rows: Sequence[Sequence[Image.Image]], cell: tuple[int, int], gap: int = 0) -> Image.Image:
    """Rows of pictures on white. Each is as large as its cell allows, and keeps its aspect.

    Args:
        cell: width and height of a cell in pixels.
        gap: pixels between cells.
    """
    width, height = cell
    columns = max(map(len, rows))
    sheet = Image.new('RGB', (columns * (width + gap) - gap, len(rows) * (height + gap) - gap), 'white')
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            scale = min(width / picture.width, height / picture.height)
            drawn = _resized(picture, _scaled(picture.width, picture.height, scale))
            left, top = (width - drawn.width) // 2, (height - drawn.height) // 2
            sheet.paste(drawn, (x * (width + gap) + left, y * (height + gap) + top))
    return sheet


def video_sheet(video: VideoSource, side: int, gap: int = 0) -> Image.Image:
    """Up to :data:`MOST_FRAMES` frames of a video, row by row, in about a square.

    Args:
        side: pixels of the longer side of a frame, at most.
        gap: pixels between frames.

    Raises:
        InputError: if the video cannot be read.
    """
    frames = spaced_frames(video, MOST_FRAMES, side)
    columns = math.ceil(math.sqrt(len(frames)))
    rows = [frames[start : start + columns] for start in range(0, len(frames), columns)]
    return contact_sheet(rows, frames[0].size, gap)


def check_picture(path: str | os.PathLike[str]) -> None:
    """Check that :func:`save_picture` can write to ``path``. Creates missing folders.

    Raises:
        OutputError: ``path`` is a folder or device, has another suffix than :data:`FORMATS`, or cannot be written to.
    """
    target = output_target(path)
    suffix = Path(os.fsdecode(path)).suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(
            f'{os.fsdecode(path)!r} ends in {suffix!r}, which is not supported for pictures. Use {", ".join(FORMATS)}.'
        )
    probe_target(target)


def save_picture(picture: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a picture to a file, completely or not at all; raises OutputError as :func:`check_picture`."""
    check_picture(path)
    kind = FORMATS[Path(os.fsdecode(path)).suffix.lower()]
    with replacing(output_target(path)) as draft, output_errors(path):
        picture.save(draft, kind, quality=90)


def _scaled(width: float, height: float, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture in another size. If it becomes larger, its pixels stay visible."""
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.NEAREST if picture.width < size[0] else Image.Resampling.LANCZOS)
