"""Opens any video that a user may pass, as a stream of frames."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.file import open_bytes, open_file, open_url
from modelscope_i2v.media.reading.frame_lists import array_as_video, images_as_video
from modelscope_i2v.media.reading.source import TimedFrame, VideoSource
from modelscope_i2v.media.text_sources import decode_base64, decode_data_uri, exists, path_of_url, shown

__all__ = ['TimedFrame', 'VideoSource', 'open_video']

_ACCEPTED = (
    'a path, an http(s) or file URL, a data URI, a base64 string, bytes, a list of PIL images or a uint8 RGB array '
    '[F, H, W, 3]'
)
# In bytes; no video is shorter. It matters because a file name without a dot may happen to be valid base64.
_SHORTEST_VIDEO = 100


def open_video(source: Any) -> VideoSource:
    """Open any accepted video. It can be read any number of times; ``source`` itself is never changed.

    Args:
        source: a path, an ``http(s)://`` or ``file://`` URL, a data URI, a bare base64 string, the bytes of a video
            file, a list or tuple of PIL images of one size, or a uint8 **RGB** array or tensor ``[F, H, W, 3]``.

    Raises:
        InputError: the source is missing, not a video, damaged at its beginning, or of the wrong type, shape or range.
    """
    if isinstance(source, str):
        return _from_text(source)
    if isinstance(source, os.PathLike):
        return open_file(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return open_bytes(bytes(source), 'The video given as bytes')
    if isinstance(source, (list, tuple)):
        return images_as_video(source)
    # If torch has not been imported, the source cannot be a tensor.
    torch = sys.modules.get('torch')
    if isinstance(source, np.ndarray) or (torch is not None and isinstance(source, torch.Tensor)):
        return array_as_video(source)
    raise InputError(f'Cannot open a video from an object of type {type(source).__name__}. Give {_ACCEPTED}.')


def _from_text(text: str) -> VideoSource:
    scheme = text[:8].lower()
    if scheme.startswith('data:'):
        return open_bytes(decode_data_uri(text), 'The video in the data URI')
    if scheme.startswith(('http://', 'https://')):
        return open_url(text)
    if scheme.startswith('file:'):
        return open_file(path_of_url(text))
    if not text:
        raise InputError(f'The path of the video is empty. Give {_ACCEPTED}.')
    if not exists(text):
        decoded = decode_base64(text)
        if decoded is not None and len(decoded) >= _SHORTEST_VIDEO:
            return open_bytes(decoded, 'The video given as base64')
        if '://' in text:
            raise InputError(f'The address {shown(text)} has an unknown scheme. Use http, https or file.')
    return open_file(text)
