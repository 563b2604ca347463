"""What training needs beyond generation."""

from __future__ import annotations

import importlib.util

from modelscope_i2v.errors import ConfigurationError

MODULES = ('accelerate', 'peft', 'tensorboard', 'torchmetrics')


def check_requirements() -> None:
    """Raise ConfigurationError, saying what to install, unless the extra ``train`` is there."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"Training needs {', '.join(missing)}. Install them with: pip install 'modelscope_i2v[train]'."
        )
