"""What training needs beyond generation."""

from __future__ import annotations

import importlib.util

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.version import INSTALL

MODULES = ('accelerate', 'peft', 'tensorboard', 'torchmetrics')


def check_requirements() -> None:
    """Raise ConfigurationError, saying what to install, unless the extra ``train`` is installed."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(f'Training needs {", ".join(missing)}. Run {INSTALL.format(extra="train")}.')
