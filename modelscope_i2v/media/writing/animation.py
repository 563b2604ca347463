"""Writes frames as an endlessly looping GIF or WebP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from modelscope_i2v.errors import InputError
from modelscope_i2v.files import output_errors
from modelscope_i2v.media.writing.timestamps import Timing


@dataclass(frozen=True)
class _Kind:
    tick: int  # time unit of the format, in milliseconds
    shortest: int  # shortest frame duration that players respect, in milliseconds
    max_side: int
    options: dict[str, Any]


_KINDS = {
    'gif': _Kind(tick=10, shortest=20, max_side=65535, options={'optimize': False}),
    'webp': _Kind(tick=1, shortest=1, max_side=16383, options={'quality': 90, 'minimize_size': False}),
}


def write_animation(
    frames: Iterator[np.ndarray], path: Path, *, named: Path, kind: str, timing: Timing, comment: str
) -> None:
    """Write ``frames`` to ``path`` as an animation that loops forever. All frames are held in memory.

    GIF counts in hundredths of a second and plays at most 50 frames per second. Individual frames are a few
    milliseconds longer or shorter, so that the animation as a whole keeps its speed. Identical neighbouring frames
    become one longer frame. Only GIF stores ``comment``.

    Args:
        frames: at least one uint8 RGB ``[H, W, 3]``, all of the same size.
        path: the file to overwrite.
        named: the path that messages show.
        kind: ``'gif'`` or ``'webp'``.
        timing: when each frame is shown.
        comment: ASCII text for the file's comment; empty for none.

    Raises:
        InputError: a side is longer than the format allows.
        OutputError: the file cannot be written.
    """
    import imageio.v3 as iio

    wanted = _KINDS[kind]
    # Copy each frame, because an iterator may reuse the same array for all of them.
    video = np.stack([frame.copy() for frame in frames])
    height, width = video.shape[1:3]
    if max(height, width) > wanted.max_side:
        raise InputError(
            f'Frames of {width} x {height} pixels are too large for {kind}, which allows at most {wanted.max_side} '
            'pixels per side. Write .mp4, or reduce the height or width.'
        )
    options = dict(wanted.options)
    if comment and kind == 'gif':
        options['comment'] = comment.encode('ascii')
    durations = _durations(len(video), timing, wanted)
    # Encode in memory: the writer would report a full disk a second time when it is garbage collected.
    encoded = iio.imwrite(
        '<bytes>', video, extension=f'.{kind}', plugin='pillow', duration=durations, loop=0, **options
    )
    with output_errors(named):
        path.write_bytes(encoded)


def _durations(count: int, timing: Timing, kind: _Kind) -> list[int]:
    """Milliseconds of each frame: whole ticks whose running sum stays within half a tick of the true time."""
    times = [*map(timing.start, range(count)), timing.end(count - 1)]
    edges = [round(time * 1000 / kind.tick) for time in times]
    return [max((end - start) * kind.tick, kind.shortest) for start, end in pairwise(edges)]
