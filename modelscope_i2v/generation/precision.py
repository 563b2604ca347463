"""Networks compute in float32 for a while, and models that share networks take turns."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def dtype_of(network: nn.Module) -> torch.dtype:
    """The precision that a network computes in now."""
    return next(network.parameters()).dtype


class Precision:
    """Which of a model's networks compute in float32 for a while. Models that share a network share this, too.

    Attributes:
        lock: whoever changes the precision of networks, or computes with them, holds it. A callback may call the
            pipeline again, so the thread that holds it may take it again.
        raised: the networks that compute in float32 for a while, and their own precision.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.raised: dict[nn.Module, torch.dtype] = {}

    def __reduce__(self) -> tuple[type[Precision], tuple[()]]:
        return Precision, ()  # a copy of a model takes no turns with the model

    def own_dtype(self, network: nn.Module) -> torch.dtype:
        """The precision that ``network`` has outside of :meth:`float32`."""
        return self.raised.get(network, dtype_of(network))

    @contextmanager
    def float32(self, networks: Iterable[nn.Module]) -> Iterator[None]:
        """Compute with ``networks`` in float32. The weights keep the values that they have in their own precision."""
        own = {network: dtype_of(network) for network in networks if network not in self.raised}
        self.raised.update(own)
        try:
            for network in own:
                network.float()
            yield
        finally:
            for network, dtype in own.items():
                network.to(dtype)
                del self.raised[network]

    @contextmanager
    def own(self) -> Iterator[None]:
        """Inside of :meth:`float32`, compute with all networks in their own precision again."""
        raised = dict(self.raised)
        try:
            for network, dtype in raised.items():
                network.to(dtype)
            self.raised.clear()
            yield
        finally:
            self.raised.update(raised)
            for network in raised:
                network.float()
