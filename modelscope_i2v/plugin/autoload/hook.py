"""Imports modelscope_i2v as soon as ModelScope is about to be imported; that registers it.

This file is copied to site-packages and runs at the start of every interpreter, so it imports only modules that are
loaded anyway, costs a fraction of a millisecond, and never raises. MODELSCOPE_I2V_AUTOLOAD=0 switches it off.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Watcher:
    """A finder that finds nothing, but learns that ModelScope is looked for."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == 'modelscope':
            register()


def register() -> None:
    """Import modelscope_i2v, which registers it. Failures only warn: this is somebody else's program."""
    import contextlib
    import importlib.util

    with contextlib.suppress(Exception):  # this program may turn warnings into errors
        try:
            if importlib.util.find_spec('modelscope_i2v') is not None:  # else it was uninstalled
                import modelscope_i2v  # noqa: F401
        except Exception as error:
            import warnings

            warnings.warn(
                f'modelscope_i2v could not be loaded: {error!r}. MODELSCOPE_I2V_AUTOLOAD=0 switches this off; deleting '
                f'{__file__} removes it.',
                RuntimeWarning,
                stacklevel=2,
            )


def install() -> None:
    """Start watching, unless switched off."""
    if os.environ.get('MODELSCOPE_I2V_AUTOLOAD', '1') != '0':
        sys.meta_path.insert(0, Watcher())
