"""What the API needs beyond generation."""

from __future__ import annotations

import importlib.util

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.version import INSTALL

MODULES = ('fastapi', 'uvicorn', 'python_multipart', 'prometheus_client', 'gradio')


def check_requirements() -> None:
    """Raise ConfigurationError, saying what to install, unless the extra ``studio`` is installed."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(f'The server needs {", ".join(missing)}. Run {INSTALL.format(extra="studio")}.')
