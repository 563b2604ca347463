"""ModelScope's base classes, with types: it has none itself, so what we use of them is declared here, in one place.

Each is imported when it is first asked for: ModelScope's pipelines take a second that its models do not need.
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
