"""Writes a video: an MP4 for every player, or an animation if the file name asks for one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from modelscope_i2v.errors import InputError, OutputError, shown
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
    last_duration: Fraction | float | None = None,
    sound: VideoSource | None = None,
    sound_track: int | None = None,
) -> str:
    """Write frames to a file, completely or not at all.

    ``.mp4``, ``.m4v``, ``.mov`` and names without a suffix give an H.264 / yuv420p / BT.709 MP4 with the index in
    front. Its frames are encoded as they arrive, and equal input gives equal bytes. If the height or width is odd, the
    last row or column is doubled. ``.gif`` and ``.webp`` give looping animations. Missing folders are created.

    Args:
        frames: uint8 RGB ``[H, W, 3]``, one or more, all of the same size; any iterable.
        path: the file to write; an existing one is replaced at the very end.
        fps: frames per second, 0.001..1000.
        recipe: how the video was made, one mapping per stage (see ``recipe.dump_recipe``). MP4 and GIF store it, WebP
            does not (and FFmpeg cannot read animated WebP).
        crf: quality of MP4, 1 (best) .. 51. 0 would be lossless, but browsers do not play its profile.
        times: when each frame appears, for videos of variable rate: seconds from the first frame, strictly increasing,
            one per frame. Times within a millisecond of a steady ``fps`` give the same file as None.
        last_duration: with ``times``, how many seconds the last frame is shown; None means 1 / ``fps``.
        sound: a video whose audio track is added. It is copied if MP4 and browsers support its codec, otherwise it is
            converted to AAC. It keeps its offset to the first frame and ends with the video. If there is no track, or
            it is damaged (then with a warning), the video is written without sound. Animations are silent.
        sound_track: which track of ``sound`` to add, counted from 0. None takes the first one that can be used, those
            that the file marks as default before the others.

    Returns:
        ``path`` as a string.

    Raises:
        InputError: there are no frames, or the frames, fps, times, crf, recipe or sound cannot be used.
        OutputError: the file cannot be written there, or the disk is full.
    """
    timing = checked_timing(fps, times, last_duration)
    if isinstance(crf, bool) or not isinstance(crf, (int, np.integer)) or not 1 <= crf <= 51:
        raise InputError(f'crf must be a whole number from 1 (best) to 51 (smallest file), found {shown(crf)}.')
    if sound is not None and not isinstance(sound, VideoSource):
        raise InputError(f'sound must be a video from open_video, or None, found {type(sound).__name__}.')
    check_sound_track(sound, sound_track)
    comment = dump_recipe(recipe) if len(recipe) else ''
    target = _checked_target(path)
    suffix = _suffix(path)
    with replacing(target) as temporary:
        checked = _checked_frames(frames, None if times is None else len(times))
        if suffix in _ANIMATIONS:
            write_animation(checked, temporary, named=target, kind=suffix[1:], timing=timing, comment=comment)
        else:
            write_h264(
                checked,
                temporary,
                named=target,
                timing=timing,
                crf=int(crf),
                comment=comment,
                sound=sound,
                track=sound_track,
            )
    return os.fsdecode(path)


def encode_video(
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    recipe: Sequence[Mapping[str, Any]] = (),
    crf: int = 17,
    times: Sequence[Fraction | float] | None = None,
    last_duration: Fraction | float | None = None,
    sound: VideoSource | None = None,
    sound_track: int | None = None,
) -> bytes:
    """The bytes of the MP4 that ``write_video`` would write. Arguments and errors are the same.

    The file is first written to the folder for temporary files (the ``TMPDIR`` variable), and always removed again.
    """
    with output_errors('a temporary file'):
        folder = tempfile.TemporaryDirectory(prefix='modelscope-i2v-', ignore_cleanup_errors=True)
    with folder as name:
        path = Path(name, 'video.mp4')
        write_video(
            frames,
            path,
            fps=fps,
            recipe=recipe,
            crf=crf,
            times=times,
            last_duration=last_duration,
            sound=sound,
            sound_track=sound_track,
        )
        with output_errors(path):
            return path.read_bytes()


def check_output(path: str | os.PathLike[str]) -> None:
    """Check before a long generation that ``write_video`` can write to ``path``. Creates missing folders.

    Raises:
        OutputError: ``path`` is a folder or device, has an unsupported suffix, or cannot be written to.
    """
    probe_target(_checked_target(path))


def check_sound_track(sound: VideoSource | None, track: int | None) -> None:
    """Check that ``sound`` has the wanted ``track``, counted from 0; None means any.

    Raises:
        InputError: there is no such track.
    """
    if track is None:
        return
    if isinstance(track, bool) or not isinstance(track, (int, np.integer)) or track < 0:
        raise InputError(f"'sound_track' must be a whole number from 0 or None, found {track!r}.")
    if sound is not None and track >= sound.sound_tracks:
        have = 'no sound' if not sound.has_sound else f'the sound tracks 0 to {sound.sound_tracks - 1}'
        raise InputError(f"{sound.name} has {have}, found 'sound_track' {track}. Leave it out or choose another one.")


def is_animation(path: str | os.PathLike[str]) -> bool:
    """Whether ``write_video`` writes an animation to ``path``, all of whose frames are held in memory."""
    return _suffix(path) in _ANIMATIONS


def _checked_target(path: str | os.PathLike[str]) -> Path:
    target = output_target(path)
    if _suffix(path) not in (*_MP4, *_ANIMATIONS):
        raise OutputError(
            f'{os.fsdecode(path)!r} ends in {_suffix(path)!r}, which is not supported. Use .mp4, .m4v, .mov, .gif, '
            f'.webp or no suffix (MP4).'
        )
    return target


def _suffix(path: str | os.PathLike[str]) -> str:
    return Path(os.fsdecode(path)).suffix.lower()


def _checked_frames(frames: Iterable[np.ndarray], count: int | None) -> Iterator[np.ndarray]:
    """Yield ``frames`` one by one and check each of them. There must be exactly ``count`` of them, if it is given."""
    if not isinstance(frames, Iterable):
        raise InputError(f'The frames must be a list, an array or an iterator, found {type(frames).__name__}.')
    shape: tuple[int, ...] | None = None
    index = -1
    for index, frame in enumerate(frames):
        if index == count:
            raise InputError(f'There are more frames than the {count} times. Give one time per frame.')
        if not isinstance(frame, np.ndarray):
            raise InputError(f'Frame {index} has type {type(frame).__name__}. Give uint8 RGB arrays [H, W, 3].')
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise InputError(
                f'Frame {index} is {frame.dtype} of shape {list(frame.shape)}. Give uint8 RGB arrays [H, W, 3] with '
                f'at least one pixel.'
            )
        if shape is not None and frame.shape != shape:
            raise InputError(
                f'Frame {index} has the shape {list(frame.shape)}, the frames before it have {list(shape)}. All '
                f'frames must have the same size.'
            )
        shape = frame.shape
        yield frame
    if shape is None:
        raise InputError('There are no frames to write. Give at least one.')
    if count is not None and index + 1 != count:
        raise InputError(f'There are {index + 1} frames but {count} times. Give one time per frame.')
