"""Making networks on the meta device: with shapes, without memory and without random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

Module = TypeVar('Module', bound=nn.Module)


def build_on_meta(factory: Callable[[], Module]) -> Module:
    """Call ``factory`` with the meta device as default: a module with shapes but no memory and no random numbers."""
    with torch.device('meta'):
        return factory()


def build_networks(factories: Mapping[str, Callable[[Any], nn.Module]], configuration: Any) -> dict[str, nn.Module]:
    """What every factory makes of ``configuration``, on the meta device, by the factory's key."""
    return {key: build_on_meta(partial(factory, configuration)) for key, factory in factories.items()}
