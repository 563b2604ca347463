"""Acting on modules of another package as soon as they are loaded, without loading them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from itertools import dropwhile, islice
from types import ModuleType
from typing import Any


class AfterImport:
    """A finder for ``sys.meta_path`` that lets the finders after it find a module, and acts on it once it is loaded.

    The action runs while the module's import lock is held, so no other thread sees the module before. It must not
    raise, nor import anything that imports the module.

    Args:
        actions: the full names of modules -> what to do with each of them.
    """

    def __init__(self, actions: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._actions = actions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """What the next finder finds, with a loader that acts; None for all modules without an action."""
        action = self._actions.get(name)
        if action is None:
            return None
        # Only those after this one: another of this kind before it would ask it again.
        later = islice(dropwhile(lambda finder: finder is not self, list(sys.meta_path)), 1, None)
        others = (finder for finder in later if hasattr(finder, 'find_spec'))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, 'exec_module'):
            execute = spec.loader.exec_module

            def execute_and_act(module: ModuleType) -> None:
                execute(module)
                action(module)

            spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec
