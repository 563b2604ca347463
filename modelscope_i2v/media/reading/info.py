"""Reads facts about a video file: sizes, rates and how it was made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import WHITE
from modelscope_i2v.media.reading.animation import is_animation, open_animation
from modelscope_i2v.media.reading.clock import frame_rate
from modelscope_i2v.media.reading.containers import open_container, video_file_name
from modelscope_i2v.media.reading.encoded import Reopen, reopener
from modelscope_i2v.media.recipe import recipe_in

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class VideoInfo:
    """Facts about a video file: sizes in pixels, ``fps`` in frames per second, ``duration`` in seconds."""

    path: str
    width: int
    height: int
    frames: int
    fps: float
    duration: float
    codec: str
    pixel_format: str
    has_audio: bool


def probe_video(path: str | os.PathLike[str]) -> VideoInfo:
    """Inspect a video file. Frames are decoded and counted only if the header does not give their number.

    Raises:
        InputError: the file is missing, unreadable or not a video, or has no frames.
    """
    reopen = reopener(path)
    if is_animation(reopen):
        return _animation_info(path, reopen)
    with open_container(path) as (container, stream):
        context = stream.codec_context
        frames = stream.frames or sum(1 for _ in container.decode(stream))
        if frames == 0 or context.width == 0 or context.height == 0:
            raise InputError(f'The video file {os.fsdecode(path)!r} has no frames. Save or download it again.')
        duration = _duration(container, stream)
        rate = frame_rate(container, stream)
        fps = float(rate) if rate else (frames / duration if duration else 0.0)
        return VideoInfo(
            path=os.fsdecode(path),
            width=context.width,
            height=context.height,
            frames=frames,
            fps=fps,
            duration=duration or (frames / fps if fps else 0.0),
            codec=context.codec.name,
            pixel_format=context.pix_fmt or '',
            has_audio=bool(container.streams.audio),
        )


def _animation_info(path: str | os.PathLike[str], reopen: Reopen) -> VideoInfo:
    video = open_animation(reopen, video_file_name(path), WHITE)
    fps = float(video.fps or 0)
    return VideoInfo(
        path=os.fsdecode(path),
        width=video.width,
        height=video.height,
        frames=video.count,
        fps=fps,
        duration=video.count / fps,
        codec=video.codec,
        pixel_format='rgb24',
        has_audio=False,
    )


def _duration(container: InputContainer, stream: VideoStream) -> float:
    import av

    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else 0.0


def read_recipe(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The recipe stored in a video, one dict per stage. Entries of newer versions are returned unchanged.

    Returns an empty list if the video has no recipe: it has no comment, or another program wrote the comment.

    Raises:
        InputError: the file is missing, unreadable or not a video.
    """
    if is_animation(reopener(path)):
        return []  # nobody writes recipes into them
    with open_container(path) as (container, _):
        return recipe_in(container)
