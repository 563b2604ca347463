"""I2VGen-XL for ModelScope: turn a picture into a video, and a video into a sharper one.

Importing this package registers its classes with ModelScope under the names of the built-in tasks. It imports neither
ModelScope nor PyTorch; everything heavy is put off until it is used. Only if ModelScope was imported first, its tables
of names are imported and filled at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import (
    CheckpointError,
    ConfigurationError,
    DeviceError,
    InputError,
    Interrupted,
    ModelScopeI2VError,
    OutputError,
)
from modelscope_i2v.plugin.registration import register as _register
from modelscope_i2v.version import __version__

if TYPE_CHECKING:
    from modelscope_i2v.embedded import embedded_model
    from modelscope_i2v.generation.call_estimate import estimate
    from modelscope_i2v.generation.chain import chain
    from modelscope_i2v.generation.load import load
    from modelscope_i2v.i2vgen_xl.model import I2VGenXLModel
    from modelscope_i2v.i2vgen_xl.pipeline import I2VGenXLPipeline
    from modelscope_i2v.i2vgen_xl.preprocessor import I2VGenXLPreprocessor
    from modelscope_i2v.image_to_video.model import ImageToVideoModel
    from modelscope_i2v.image_to_video.pipeline import ImageToVideoPipeline
    from modelscope_i2v.image_to_video.preprocessor import ImageToVideoPreprocessor
    from modelscope_i2v.video_to_video.model import VideoToVideoModel
    from modelscope_i2v.video_to_video.pipeline import VideoToVideoPipeline
    from modelscope_i2v.video_to_video.preprocessor import VideoToVideoPreprocessor

_LAZY = {
    'I2VGenXLModel': 'modelscope_i2v.i2vgen_xl.model',
    'I2VGenXLPipeline': 'modelscope_i2v.i2vgen_xl.pipeline',
    'I2VGenXLPreprocessor': 'modelscope_i2v.i2vgen_xl.preprocessor',
    'ImageToVideoModel': 'modelscope_i2v.image_to_video.model',
    'ImageToVideoPipeline': 'modelscope_i2v.image_to_video.pipeline',
    'ImageToVideoPreprocessor': 'modelscope_i2v.image_to_video.preprocessor',
    'VideoToVideoModel': 'modelscope_i2v.video_to_video.model',
    'VideoToVideoPipeline': 'modelscope_i2v.video_to_video.pipeline',
    'VideoToVideoPreprocessor': 'modelscope_i2v.video_to_video.preprocessor',
    'chain': 'modelscope_i2v.generation.chain',
    'embedded_model': 'modelscope_i2v.embedded',
    'estimate': 'modelscope_i2v.generation.call_estimate',
    'load': 'modelscope_i2v.generation.load',
}

__all__ = [
    'CheckpointError',
    'ConfigurationError',
    'DeviceError',
    'I2VGenXLModel',
    'I2VGenXLPipeline',
    'I2VGenXLPreprocessor',
    'ImageToVideoModel',
    'ImageToVideoPipeline',
    'ImageToVideoPreprocessor',
    'InputError',
    'Interrupted',
    'ModelScopeI2VError',
    'OutputError',
    'VideoToVideoModel',
    'VideoToVideoPipeline',
    'VideoToVideoPreprocessor',
    '__version__',
    'chain',
    'embedded_model',
    'estimate',
    'load',
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        _register()  # our finder may have been passed over
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


_register()
