"""One picture of several videos: a row for each, some of its frames beside each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing import sheet

#: Frames of each video, pixels of the longer side of one, and the pixels between them.
FRAMES, SIDE, GAP = 6, 192, 4


def contact_sheet(videos: Sequence[Path]) -> bytes:
    """The sheet as JPEG; raises InputError if a video cannot be read."""
    rows = [sheet.spaced_frames(open_video(video), FRAMES, SIDE) for video in videos]
    file = io.BytesIO()
    sheet.contact_sheet(rows, rows[0][0].size, GAP).save(file, 'JPEG', quality=88)
    return file.getvalue()
