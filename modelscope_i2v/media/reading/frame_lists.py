"""Videos whose frames are in memory: lists of images, arrays and tensors. They have no time stamps and no sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background
from modelscope_i2v.media.images.decoding import upright_rgb, upright_size
from modelscope_i2v.media.images.depth import eight_bits
from modelscope_i2v.media.reading.source import TimedFrame, VideoSource
from modelscope_i2v.tensors import kind_problem

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class FrameList(VideoSource):
    """``count`` frames. ``frame(index)`` returns one of them as uint8 RGB ``[H, W, 3]``, a new array every time."""

    count: int
    frame: Callable[[int], np.ndarray] = field(repr=False)

    def frames(self) -> Iterator[TimedFrame]:
        for index in range(self.count):
            pixels = self.frame(index)
            _check_size(self.name, index, pixels.shape[1::-1], (self.width, self.height))
            yield TimedFrame(pixels, None)


def images_as_video(images: Sequence[Image.Image], background: Background) -> FrameList:
    """PIL images of any mode as a video. Each is turned upright and converted to RGB when it is read.

    Args:
        background: what shows through transparent parts.

    Raises:
        InputError: there are no images, they differ in size, or the list holds something other than PIL images.
    """
    name = 'The list of images'
    if not images:
        raise InputError(f'{name} is empty. Give at least one PIL image.')
    for index, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise InputError(
                f'{name} has a value of type {type(image).__name__} at position {index}. Give PIL images, or one uint8 '
                f'RGB array [F, H, W, 3].'
            )
    size = upright_size(images[0])
    for index, image in enumerate(images):
        _check_size(name, index, upright_size(image), size)
    return _in_memory(
        name, len(images), size, lambda index: np.array(upright_rgb(images[index], f'Image {index}', background))
    )


def array_as_video(array: np.ndarray | torch.Tensor) -> FrameList:
    """A uint8 RGB array or tensor ``[F, H, W, 3]`` on any device, as a video. uint16 is scaled down to 8 bits.

    Raises:
        InputError: the dtype or shape is wrong, or there are no pixels.
    """
    kind = 'array' if isinstance(array, np.ndarray) else 'tensor'
    name = f'The video {kind}'
    if kind == 'tensor' and (problem := kind_problem(array)):  # type: ignore[arg-type]
        raise InputError(f'{name} must be dense and hold data, found a {problem} tensor.')
    dtype = str(array.dtype).removeprefix('torch.')
    if dtype not in ('uint8', 'uint16'):
        raise InputError(
            f'{name} must be uint8 with values 0..255 or uint16 with values 0..65535, found {dtype}. Scale values of '
            f'0..1 by 255, round and convert to uint8.'
        )
    if array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
        raise InputError(
            f'{name} must have the shape [F, H, W, 3] (RGB) with at least one frame and one pixel, found '
            f'{list(array.shape)}. Move the channels to the end.'
        )
    frames, height, width = array.shape[:3]
    return _in_memory(name, frames, (width, height), lambda index: _pixels(array[index]))


def _in_memory(name: str, count: int, size: tuple[int, int], frame: Callable[[int], np.ndarray]) -> FrameList:
    width, height = size
    if not width * height:
        raise InputError(f'{name} has frames of {width} x {height} pixels. A frame needs at least one pixel.')
    return FrameList(
        name=name,
        width=width,
        height=height,
        aspect=width / height,
        fps=None,
        sound_tracks=0,
        recipe=[],
        count=count,
        frame=frame,
    )


def _pixels(frame: np.ndarray | torch.Tensor) -> np.ndarray:
    array: np.ndarray = frame if isinstance(frame, np.ndarray) else frame.detach().cpu().numpy()
    return np.array(eight_bits(array))


def _check_size(name: str, index: int, found: tuple[int, ...], expected: tuple[int, int]) -> None:
    if found != expected:
        raise InputError(
            f'{name} has frames of different sizes: frame {index} has {found[0]} x {found[1]} pixels, the frames '
            f'before it have {expected[0]} x {expected[1]}. Scale all frames to the same size.'
        )
