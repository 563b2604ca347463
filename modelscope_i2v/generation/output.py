"""From decoded frames to what a call returns: an MP4, arrays, tensors, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.media.frames import frames_to_float, frames_to_uint8
from modelscope_i2v.media.writing.write import encode_video, is_animation, write_video

#: Bytes that every pixel of a result takes while it is put together: frame by frame, then as a whole. Pillow needs four
#: for a pixel, and an animation is an array and a list of pictures. An MP4 is written as its frames come.
_HELD = {'pt': 24, 'np': 6, 'pil': 4, 'latent': 0, 'mp4': 0}
_HELD_BY_ANIMATION = 8


def bytes_held(arguments: GenerationArguments) -> int:
    """Bytes of main memory that the result of a call takes for every pixel of every frame."""
    animated = arguments.output_path is not None and is_animation(arguments.output_path)
    return _HELD_BY_ANIMATION if animated else _HELD[arguments.output_type]


def output_of(
    chunks: Iterable[torch.Tensor],
    arguments: GenerationArguments,
    file_options: Callable[[], Mapping[str, Any]],
) -> Any:
    """Frames ``[n, 3, H, W]`` in [-1, 1], a few at a time -> what ``output_type`` and ``output_video`` ask for.

    Args:
        file_options: returns the other arguments of
            :func:`~modelscope_i2v.media.writing.write.write_video`; called only when a file is written.

    Raises:
        OutputError: if the file cannot be written.
    """
    if arguments.output_type == 'pt':
        return torch.cat([frames_to_float(chunk).cpu() for chunk in chunks])
    frames = (frame for chunk in chunks for frame in frames_to_uint8(chunk))
    if arguments.output_type == 'np':
        return np.stack(list(frames))
    if arguments.output_type == 'pil':
        from PIL import Image

        return [Image.fromarray(frame) for frame in frames]
    if arguments.output_path is None:
        return encode_video(frames, **file_options())
    return write_video(frames, arguments.output_path, **file_options())
