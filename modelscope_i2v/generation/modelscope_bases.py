"""ModelScope's base classes, with types. ModelScope has none itself, so this declares the parts that we use.

Each class is imported on first use: ModelScope's pipelines take a second to import, which its models do not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    class Pipeline:
        """``modelscope.pipelines.base.Pipeline``."""

        model: Any
        preprocessor: Any
        device: torch.device
        device_name: str
        _model_prepare: bool

        def __init__(self, *, model: Any, preprocessor: Any, device: str, auto_collate: bool) -> None: ...

    class TorchModel(nn.Module):
        """``modelscope.models.base.TorchModel``."""

        model_dir: str

        def __init__(self, model_dir: str) -> None: ...

    class Preprocessor:
        """``modelscope.preprocessors.base.Preprocessor``."""

        def __init__(self, mode: str) -> None: ...

    class BaseTrainer:
        """``modelscope.trainers.base.BaseTrainer``."""

        def __init__(self, cfg_file: str) -> None: ...

else:
    _PLACES = {
        'Pipeline': 'modelscope.pipelines.base',
        'TorchModel': 'modelscope.models.base',
        'Preprocessor': 'modelscope.preprocessors.base',
        'BaseTrainer': 'modelscope.trainers.base',
    }

    def __getattr__(name: str) -> Any:
        if name in _PLACES:
            return getattr(import_module(_PLACES[name]), name)
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
