"""Reads pictures and videos, and writes videos.

The entry points are :func:`load_image`, :func:`open_video` and :func:`write_video`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelscope_i2v.media.images.load import load_image
    from modelscope_i2v.media.reading.open import open_video
    from modelscope_i2v.media.writing.write import write_video

__all__ = ['load_image', 'open_video', 'write_video']

#: Imported on first use, because importing Pillow and FFmpeg takes a while.
_DOORS = {
    'load_image': 'modelscope_i2v.media.images.load',
    'open_video': 'modelscope_i2v.media.reading.open',
    'write_video': 'modelscope_i2v.media.writing.write',
}


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
