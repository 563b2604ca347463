"""Videos whose frames encode their number, and functions that read the numbers back."""

import numpy as np

from modelscope_i2v.media.writing.write import write_video

STEP = 5


def numbered(count, height=48, width=64):
    """Gray frames; brightness divided by ``STEP`` is the number of the frame, up to 51."""
    return [np.full((height, width, 3), STEP * index, np.uint8) for index in range(count)]


def write_numbered(path, count, fps, **size):
    write_video(numbered(count, **size), path, fps=fps)
    return path


def numbers(frames):
    """The numbers of gray ``frames``; a codec changes them by less than half a step."""
    return [round(float(frame.mean()) / STEP) for frame in frames]
