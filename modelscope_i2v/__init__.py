"""I2VGen-XL's first generation for ModelScope: a picture becomes a video, and a video becomes a sharper one.

Importing this package registers its classes with ModelScope (if that is installed) under the built-in names of the
tasks. Everything heavy is imported when it is first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from modelscope_i2v.errors import (
    CheckpointError,
    ConfigurationError,
    DeviceError,
    InputError,
    Interrupted,
    ModelScopeI2VError,
    OutputError,
)

__version__ = '0.1.0'

_LAZY = {
    'ImageToVideoModel': 'modelscope_i2v.image_to_video.model',
    'ImageToVideoPipeline': 'modelscope_i2v.image_to_video.pipeline',
    'ImageToVideoPreprocessor': 'modelscope_i2v.image_to_video.preprocessor',
    'VideoToVideoModel': 'modelscope_i2v.video_to_video.model',
    'VideoToVideoPipeline': 'modelscope_i2v.video_to_video.pipeline',
    'VideoToVideoPreprocessor': 'modelscope_i2v.video_to_video.preprocessor',
    'embedded_model': 'modelscope_i2v.embedded',
    'load': 'modelscope_i2v.generation.load',
}

__all__ = [
    'CheckpointError',
    'ConfigurationError',
    'DeviceError',
    'InputError',
    'Interrupted',
    'ModelScopeI2VError',
    'OutputError',
    '__version__',
    *_LAZY,
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


# The networks, samplers and weight readers work without ModelScope.
if importlib.util.find_spec('modelscope') is not None:
    from modelscope_i2v.plugin.registration import register

    register()
    del register
