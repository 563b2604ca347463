"""Stops a call between two layers of a network: a step of a large video takes minutes on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def interruptible(network: nn.Module, check: Callable[[], None]) -> Iterator[None]:
    """While open, ``check`` is called before each layer of ``network`` computes; what it raises ends the call.

    Layers are the modules without parts of their own. ``network`` must not be compiled: its graph would change.
    """

    def before(*_: Any) -> None:
        check()

    layers = [module for module in network.modules() if next(module.children(), None) is None]
    hooks = [layer.register_forward_pre_hook(before) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
