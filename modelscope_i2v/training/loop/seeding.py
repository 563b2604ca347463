"""Initial weights that depend only on a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar('Module', bound=nn.Module)


def seeded(build: Callable[[], Module], seed: int) -> Module:
    """Run ``build`` on the CPU with torch's global generator seeded to ``seed``; its state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()
