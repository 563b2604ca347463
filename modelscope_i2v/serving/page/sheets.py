"""One picture of several videos: a row for each, some of its frames beside each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from modelscope_i2v.media.reading.open import open_video

#: Frames of each video, the largest width of one in pixels, and the pixels between them.
FRAMES, WIDTH, GAP = 6, 192, 4


def contact_sheet(videos: Sequence[Path]) -> bytes:
    """The sheet as JPEG; raises InputError if a video cannot be read."""
    rows = [_some(video) for video in videos]
    width, height = rows[0][0].size
    columns = max(map(len, rows))
    size = columns * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP
    sheet = Image.new('RGB', size, 'white')
    for down, row in enumerate(rows):
        for across, frame in enumerate(row):
            sheet.paste(frame, (across * (width + GAP), down * (height + GAP)))
    file = io.BytesIO()
    sheet.save(file, 'JPEG', quality=88)
    return file.getvalue()


def _some(video: Path) -> list[Image.Image]:
    frames = [Image.fromarray(timed.pixels) for timed in open_video(video).frames()]
    count = min(FRAMES, len(frames))
    chosen = [frames[round(index * (len(frames) - 1) / max(1, count - 1))] for index in range(count)]
    for frame in chosen:
        frame.thumbnail((WIDTH, WIDTH))
    return chosen
