"""Acting on modules of another package as soon as they are loaded, without loading them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from itertools import dropwhile, islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader


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
            # The loader itself stays as it is: it may load other modules, too.
            spec.loader = _ActingLoader(spec.loader, action)  # type: ignore[assignment]
        return spec


class _ActingLoader:
    """Another loader, for one module: it acts on the module and leaves the other loader in its place."""

    def __init__(self, loader: Loader, action: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._action = action

    def exec_module(self, module: ModuleType) -> None:
        # Before the module runs, because it may look at its loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._action(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
