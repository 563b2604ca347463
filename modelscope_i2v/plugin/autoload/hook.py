"""Registers modelscope_i2v as soon as ModelScope is about to look up classes.

This file is copied to site-packages and runs at the start of every interpreter, so it imports only modules that are
loaded anyway, costs a fraction of a millisecond, and never raises. MODELSCOPE_I2V_AUTOLOAD=0 switches it off.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

#: The ModelScope modules that look up models, pipelines and trainers.
WATCHED = ('modelscope.pipelines', 'modelscope.models', 'modelscope.trainers')


class Watcher:
    """A finder that lets the real finders find a watched package, and registers once that is loaded."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in WATCHED:
            return None
        # Do not use importlib.util.find_spec, which imports the parent: the import lock is held here, and a thread that
        # is importing the parent may be waiting for it. If .pth files are read twice, there are two watchers.
        others = (
            finder for finder in list(sys.meta_path) if type(finder) is not Watcher and hasattr(finder, 'find_spec')
        )
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, 'exec_module'):
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder) is not Watcher]  # once is enough
                register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


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
