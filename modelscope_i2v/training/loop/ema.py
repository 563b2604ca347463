"""An exponential moving average of the trained weights (Polyak averaging)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class MovingAverage:
    """Float32 averages of the trained parameters of ``model``; frozen ones are not copied.

    Args:
        decay: the weight of the old average in each update. It is at most ``(1 + n) / (10 + n)`` after n updates, so
            that the average moves faster at first.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._averages = [parameter.detach().float().clone() for parameter in self._trained]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the weights after step ``step``."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = [parameter.detach().float() for parameter in self._trained]
        torch._foreach_lerp_(self._averages, current, 1 - decay)

    @torch.no_grad()
    def reset(self) -> None:
        """Make the averages equal to the weights."""
        for average, parameter in zip(self._averages, self._trained, strict=True):
            average.copy_(parameter)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averages as the weights of the model while the block runs."""
        kept = [parameter.detach().clone() for parameter in self._trained]
        self._copy(self._averages)
        try:
            yield
        finally:
            self._copy(kept)

    def keep(self) -> None:
        """Use the averages as the weights of the model from now on."""
        self._copy(self._averages)

    @torch.no_grad()
    def _copy(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self._trained, values, strict=True):
            parameter.copy_(value)
