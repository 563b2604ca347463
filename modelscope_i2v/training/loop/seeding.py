"""Initial weights that are a function of a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar('Module', bound=nn.Module)


def seeded(build: Callable[[], Module], seed: int) -> Module:
    """What ``build`` makes on the CPU with torch's own generator at ``seed``, which is then as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()
