"""Opens any video that a user may pass, as a stream of frames."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background, checked_background
from modelscope_i2v.media.reading.file import open_bytes, open_file, open_url
from modelscope_i2v.media.reading.frame_lists import array_as_video, images_as_video
from modelscope_i2v.media.reading.source import TimedFrame, VideoSource
from modelscope_i2v.media.text_sources import decode_base64, decode_data_uri, exists, path_of_url, shown

__all__ = ['TimedFrame', 'VideoSource', 'open_video']

_ACCEPTED = (
    'a path, an http(s) or file URL, a data URI, a base64 string, bytes, a list of PIL images or a uint8 or uint16 RGB '
    'array [F, H, W, 3]'
)
# In bytes; no video is shorter. It matters because a file name without a dot may happen to be valid base64.
_SHORTEST_VIDEO = 100


def open_video(source: Any, background: Any = 'white') -> VideoSource:
    """Open any accepted video. It can be read any number of times; ``source`` itself is never changed.

    Its frames come out upright, whole (not interlaced) and in the colours of an ordinary screen (sRGB, BT.709).

    Args:
        source: a path, an ``http(s)://`` or ``file://`` URL, a data URI, a bare base64 string, the bytes of a video
            file, a list or tuple of PIL images of one size, or a uint8 or uint16 **RGB** array or tensor
            ``[F, H, W, 3]``.
        background: the colour behind transparent parts: a name, a hex value or three numbers 0..255. None drops the
            transparency, and the colours hidden under it appear.

    Raises:
        InputError: the source is missing, not a video, damaged at its beginning, or of the wrong type, shape or range.
    """
    behind = checked_background(background)
    if isinstance(source, str):
        return _from_text(source, behind)
    if isinstance(source, os.PathLike):
        return open_file(source, behind)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return open_bytes(bytes(source), 'The video given as bytes', behind)
    if isinstance(source, (list, tuple)):
        return images_as_video(source, behind)
    # If torch has not been imported, the source cannot be a tensor.
    torch = sys.modules.get('torch')
    if isinstance(source, np.ndarray) or (torch is not None and isinstance(source, torch.Tensor)):
        return array_as_video(source)
    raise InputError(f'Cannot open a video from an object of type {type(source).__name__}. Give {_ACCEPTED}.')


def _from_text(text: str, background: Background) -> VideoSource:
    scheme = text[:8].lower()
    if scheme.startswith('data:'):
        return open_bytes(decode_data_uri(text), 'The video in the data URI', background)
    if scheme.startswith(('http://', 'https://')):
        return open_url(text, background)
    if scheme.startswith('file:'):
        return open_file(path_of_url(text), background)
    if not text:
        raise InputError(f'The path of the video is empty. Give {_ACCEPTED}.')
    if not exists(text):
        decoded = decode_base64(text)
        if decoded is not None and len(decoded) >= _SHORTEST_VIDEO:
            return open_bytes(decoded, 'The video given as base64', background)
        if '://' in text:
            raise InputError(f'The address {shown(text)} has an unknown scheme. Use http, https or file.')
    return open_file(text, background)
