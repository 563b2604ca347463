"""Writing frames as an endlessly looping GIF or WebP."""

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
    tick: int  # milliseconds in which the format counts
    shortest: int  # milliseconds a frame must stay for players to obey
    max_side: int
    options: dict[str, Any]


_KINDS = {
    'gif': _Kind(tick=10, shortest=20, max_side=65535, options={'optimize': False}),
    'webp': _Kind(tick=1, shortest=1, max_side=16383, options={'quality': 90, 'minimize_size': False}),
}


def write_animation(
    frames: Iterator[np.ndarray], path: Path, *, named: Path, kind: str, timing: Timing, comment: str
) -> None:
    """Write ``frames`` into ``path`` as an animation that loops for ever. All frames are held in memory.

    GIF counts in hundredths of a second and plays at most 50 frames a second; single frames are some milliseconds
    longer or shorter so that the whole keeps its pace. Equal neighbours become one longer frame. Only GIF stores
    ``comment``.

    Args:
        frames: at least one uint8 RGB ``[H, W, 3]``, all of one size.
        path: the file to write over.
        named: the path that messages name.
        kind: ``'gif'`` or ``'webp'``.
        timing: when each frame is shown.
        comment: ASCII text for the file's comment; empty for none.

    Raises:
        InputError: a side is longer than the format allows.
        OutputError: the file cannot be written.
    """
    import imageio.v3 as iio

    wanted = _KINDS[kind]
    # Copied: an iterator may fill one and the same array again and again.
    video = np.stack([frame.copy() for frame in frames])
    height, width = video.shape[1:3]
    if max(height, width) > wanted.max_side:
        raise InputError(
            f'Frames of {width} x {height} pixels are too large for {kind}: at most {wanted.max_side} a side. '
            'Write .mp4, or lower height or width.'
        )
    options = dict(wanted.options)
    if comment and kind == 'gif':
        options['comment'] = comment.encode('ascii')
    durations = _durations(len(video), timing, wanted)
    # Through memory: the writer would complain about a full disk once more, when it is collected.
    encoded = iio.imwrite(
        '<bytes>', video, extension=f'.{kind}', plugin='pillow', duration=durations, loop=0, **options
    )
    with output_errors(named):
        path.write_bytes(encoded)


def _durations(count: int, timing: Timing, kind: _Kind) -> list[int]:
    """Milliseconds of each frame, in whole ticks whose running sum stays within half a tick of the true time."""
    times = [*map(timing.start, range(count)), timing.end(count - 1)]
    edges = [round(time * 1000 / kind.tick) for time in times]
    return [max((end - start) * kind.tick, kind.shortest) for start, end in pairwise(edges)]
