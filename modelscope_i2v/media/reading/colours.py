"""Converts a decoded frame to 8-bit RGB, whatever colours the file codes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background
from modelscope_i2v.media.blending import over
from modelscope_i2v.media.colour.convert import ColourConverter
from modelscope_i2v.media.colour.description import ColourDescription
from modelscope_i2v.media.colour.matrices import BT709, IDENTITY

if TYPE_CHECKING:
    import av

#: Frames with more pixels than this are reduced to half the size, or a third and so on, as they are converted.
MAX_PIXELS = 36_000_000
# FFmpeg's codes for limited and full range.
_LIMITED, _FULL = 1, 2
_ADVICE = 'Convert it to H.264 in MP4, with BT.709 colours.'


def describe(frame: av.VideoFrame) -> ColourDescription:
    """The colours of ``frame``, with everything filled in that the file leaves open."""
    return ColourDescription.of(
        int(frame.colorspace),
        int(frame.color_primaries),
        int(frame.color_trc),
        full_range=int(frame.color_range) == _FULL or frame.format.name.startswith('yuvj'),
        rgb=_is_rgb(frame),
        height=frame.height,
    )


def rgb_pixels(frame: av.VideoFrame, name: str, background: Background) -> np.ndarray:
    """The frame as uint8 RGB ``[H, W, 3]``, with what is transparent over ``background``.

    Ordinary video is converted by FFmpeg, bit for bit as by OpenCV, with which the original implementation reads it.
    Wide and high dynamic range colours and rarer matrices are converted by us. Frames of more than ``MAX_PIXELS`` are
    reduced.

    Raises:
        InputError: the pixel format or the colours cannot be converted. The message calls the video ``name``.
    """
    description = describe(frame)
    problem = description.problem()
    if problem is not None:
        raise InputError(f'{name} uses {problem}, which cannot be converted. {_ADVICE}')
    try:
        alpha = None if background is None else _alpha(frame)
        pixels = _ordinary(frame, description) if description.is_ordinary else _converted(frame, description)
    except OSError as error:  # FFmpeg's errors are of this kind, too
        raise InputError(
            f'{name} uses the pixel format {frame.format.name!r}, which cannot be converted. {_ADVICE}'
        ) from error
    return pixels if alpha is None or background is None else over(pixels, alpha, background)


def is_invisible(frame: av.VideoFrame) -> bool:
    """Whether every pixel of ``frame`` is fully transparent."""
    alpha = _alpha(frame)
    return alpha is not None and not alpha.any()


def _ordinary(frame: av.VideoFrame, description: ColourDescription) -> np.ndarray:
    from av.video.reformatter import Interpolation

    tagged = description.matrix in (IDENTITY, int(frame.colorspace))
    rgb = frame.reformat(
        *_size(frame),
        format='rgb24',
        src_colorspace=None if tagged else description.matrix,  # FFmpeg takes everything untagged for BT.601
        interpolation=Interpolation.BICUBIC,
        threads=1,
    )
    return rgb.to_ndarray()


def _converted(frame: av.VideoFrame, description: ColourDescription) -> np.ndarray:
    # FFmpeg scales the depth of full-range planes wrongly, so it stays as it is.
    bits = next(bits for bits in (8, 10, 12, 16) if frame.format.components[0].bits <= bits)
    target = ('gbrp' if _is_rgb(frame) else 'yuv444p') + (f'{bits}le' if bits > 8 else '')
    return _converter(description).pixels(_planes(_reformatted(frame, target, description.full_range)), bits)


def _reformatted(frame: av.VideoFrame, target: str, full_range: bool) -> av.VideoFrame:
    """``frame`` with other planes but the same colours, which FFmpeg need not know for this."""
    from av.video.reformatter import Interpolation

    matrix, frame.colorspace = frame.colorspace, BT709
    color_range = _FULL if full_range else _LIMITED
    try:
        return frame.reformat(
            *_size(frame),
            format=target,
            src_color_range=color_range,
            dst_color_range=color_range,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
            threads=1,
        )
    finally:
        frame.colorspace = matrix


@lru_cache(maxsize=4)
def _converter(description: ColourDescription) -> ColourConverter:
    return ColourConverter(description)


def _alpha(frame: av.VideoFrame) -> np.ndarray | None:
    if not any(component.is_alpha for component in frame.format.components) and not frame.format.has_palette:
        return None
    return np.ascontiguousarray(_reformatted(frame, 'rgba', full_range=True).to_ndarray()[..., 3])


def _planes(frame: av.VideoFrame) -> list[np.ndarray]:
    planes = []
    for plane in frame.planes:
        values = np.frombuffer(memoryview(plane), np.uint8 if frame.format.components[0].bits == 8 else '<u2')
        planes.append(values.reshape(frame.height, -1)[:, : frame.width])
    return planes


def _size(frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height of the converted frame."""
    factor = 1
    while (frame.width // factor) * (frame.height // factor) > MAX_PIXELS:
        factor += 1
    return max(1, frame.width // factor), max(1, frame.height // factor)


def _is_rgb(frame: av.VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette
