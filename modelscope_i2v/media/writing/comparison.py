"""Two videos side by side in one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from PIL import Image

from modelscope_i2v.media.limits import MAX_SIDE
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.writing.write import write_video


def write_comparison(before: VideoSource, after: VideoSource, path: str | os.PathLike[str]) -> str:
    """Write a silent video with ``before`` on the left and ``after`` on the right, frame by frame.

    Both have the size and the clock of ``after``, at most half as wide as a video can be. The shorter one decides how
    many frames there are.

    Returns:
        ``path`` as a string.

    Raises:
        InputError: if a video cannot be read. OutputError: if the file cannot be written.
    """
    width = min(after.width, MAX_SIDE // 2)
    size = width, max(1, round(after.height * width / after.width))
    # The times have to be known before the first frame is written.
    clock = [(right.time, right.duration) for _, right in zip(before.frames(), after.frames(), strict=False)]
    times = [time for time, _ in clock if time is not None]

    def pairs() -> Iterator[np.ndarray]:
        for left, right in zip(before.frames(), after.frames(), strict=False):
            yield np.concatenate([_as(left.pixels, size), _as(right.pixels, size)], axis=1)

    known = len(times) == len(clock)
    return write_video(
        pairs(),
        path,
        fps=after.fps or 1.0,
        times=times if known else None,
        last_duration=clock[-1][1] if known and clock else None,
    )


def _as(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(pixels)
    return pixels if picture.size == size else np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
