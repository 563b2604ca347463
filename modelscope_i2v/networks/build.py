"""Build networks on the meta device: they have shapes, but use no memory and no random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

Module = TypeVar('Module', bound=nn.Module)


def build_on_meta(factory: Callable[[], Module]) -> Module:
    """Call ``factory`` with the meta device as default: the module has shapes, but uses no memory or random numbers."""
    with torch.device('meta'):
        return factory()


def build_networks(factories: Mapping[str, Callable[[Any], nn.Module]], configuration: Any) -> dict[str, nn.Module]:
    """Call every factory with ``configuration`` on the meta device; returns the networks by the factory's key."""
    return {key: build_on_meta(partial(factory, configuration)) for key, factory in factories.items()}
