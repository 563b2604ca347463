"""Writing a video: MP4 for every player, or an animation where the file name asks for one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from modelscope_i2v.errors import InputError, OutputError
from modelscope_i2v.files import output_errors, output_target, probe_target, replacing
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.recipe import dump_recipe
from modelscope_i2v.media.writing.animation import write_animation
from modelscope_i2v.media.writing.h264 import write_h264
from modelscope_i2v.media.writing.timestamps import checked_timing

_MP4 = ('', '.mp4', '.m4v', '.mov')
_ANIMATIONS = ('.gif', '.webp')


def write_video(
    frames: Iterable[np.ndarray],
    path: str | os.PathLike[str],
    *,
    fps: float,
    recipe: Sequence[Mapping[str, Any]] = (),
    crf: int = 17,
    times: Sequence[Fraction | float] | None = None,
    sound: VideoSource | None = None,
) -> str:
    """Write frames to a file: whole, or not at all.

    ``.mp4``, ``.m4v``, ``.mov`` and names without a suffix become H.264 / yuv420p / BT.709 MP4 whose index comes first;
    the frames are encoded as they arrive, equal input gives equal bytes, and odd sizes get their last row or column
    doubled. ``.gif`` and ``.webp`` become looping animations. Missing folders are made.

    Args:
        frames: uint8 RGB ``[H, W, 3]``, one or more, all of one size; any iterable.
        path: the file to write; an existing one is replaced at the very end.
        fps: frames a second, 0.001..1000.
        recipe: how the video was made, one mapping a stage (see ``recipe.dump_recipe``). MP4 and GIF carry it, WebP
            does not (nor can FFmpeg read animated WebP back).
        crf: quality of MP4, 1 (best) .. 51. 0 would be lossless, in a profile that browsers do not play.
        times: when each frame appears, in seconds from the first one, strictly rising, one a frame; for videos of
            variable rate. ``fps`` then says how long the last frame stays. Times that are off a steady ``fps`` by less
            than a millisecond give the same file as None.
        sound: a video whose audio track is taken along: copied where MP4 and browsers take its codec, else converted to
            AAC; in step with the first frame as it was there, cut where the video ends. Its absence or a damaged track
            (with a warning) leave the video without. Animations are silent.

    Returns:
        ``path`` as a string.

    Raises:
        InputError: no frames, or frames, fps, times, crf, recipe or sound that cannot be used.
        OutputError: the file cannot be written there, or the disk is full.
    """
    timing = checked_timing(fps, times)
    if isinstance(crf, bool) or not isinstance(crf, (int, np.integer)) or not 1 <= crf <= 51:
        raise InputError(f'crf must be a whole number from 1 (best) to 51 (smallest file), found {crf!r}.')
    if sound is not None and not isinstance(sound, VideoSource):
        raise InputError(f'sound must be what open_video returns, or None, found a {type(sound).__name__}.')
    comment = dump_recipe(recipe) if len(recipe) else ''
    target = _checked_target(path)
    suffix = _suffix(path)
    with replacing(target) as temporary:
        checked = _checked_frames(frames, None if times is None else len(times))
        if suffix in _ANIMATIONS:
            write_animation(checked, temporary, named=target, kind=suffix[1:], timing=timing, comment=comment)
        else:
            write_h264(checked, temporary, named=target, timing=timing, crf=int(crf), comment=comment, sound=sound)
    return os.fsdecode(path)


def encode_video(
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    recipe: Sequence[Mapping[str, Any]] = (),
    crf: int = 17,
    times: Sequence[Fraction | float] | None = None,
    sound: VideoSource | None = None,
) -> bytes:
    """The bytes of the MP4 that ``write_video`` would write; same arguments and errors.

    The file goes through the folder for temporary files (the ``TMPDIR`` variable), which is left clean in any case.
    """
    with output_errors('a temporary file'):
        folder = tempfile.TemporaryDirectory(prefix='modelscope-i2v-', ignore_cleanup_errors=True)
    with folder as name:
        path = Path(name, 'video.mp4')
        write_video(frames, path, fps=fps, recipe=recipe, crf=crf, times=times, sound=sound)
        with output_errors(path):
            return path.read_bytes()


def check_output(path: str | os.PathLike[str]) -> None:
    """Find out before a long generation whether ``write_video`` can write to ``path``; makes missing folders.

    Raises:
        OutputError: a folder or device, an unsupported suffix, or a place that cannot be written to.
    """
    probe_target(_checked_target(path))


def _checked_target(path: str | os.PathLike[str]) -> Path:
    target = output_target(path)
    if _suffix(path) not in (*_MP4, *_ANIMATIONS):
        raise OutputError(
            f'{os.fsdecode(path)!r} ends in {_suffix(path)!r}, which cannot be written. Use .mp4, .m4v, .mov, .gif, '
            f'.webp or no suffix (MP4).'
        )
    return target


def _suffix(path: str | os.PathLike[str]) -> str:
    return Path(os.fsdecode(path)).suffix.lower()


def _checked_frames(frames: Iterable[np.ndarray], count: int | None) -> Iterator[np.ndarray]:
    """``frames`` as they come, each looked at; exactly ``count`` of them if it is given."""
    if not isinstance(frames, Iterable):
        raise InputError(f'The frames must be a list, an array or an iterator, found a {type(frames).__name__}.')
    shape: tuple[int, ...] | None = None
    index = -1
    for index, frame in enumerate(frames):
        if index == count:
            raise InputError(f'There are more frames than the {count} times. Give one time a frame.')
        if not isinstance(frame, np.ndarray):
            raise InputError(f'Frame {index} is a {type(frame).__name__}. Give uint8 RGB arrays [H, W, 3].')
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise InputError(
                f'Frame {index} is {frame.dtype} of shape {list(frame.shape)}. Give uint8 RGB arrays [H, W, 3] with '
                f'at least one pixel.'
            )
        if shape is not None and frame.shape != shape:
            raise InputError(
                f'Frame {index} has the shape {list(frame.shape)}, the frames before it {list(shape)}. Give all '
                f'frames one size.'
            )
        shape = frame.shape
        yield frame
    if shape is None:
        raise InputError('There are no frames to write. Give at least one.')
    if count is not None and index + 1 != count:
        raise InputError(f'There are {index + 1} frames but {count} times. Give one time a frame.')
