"""Weights rest in main memory and come to the device while they are used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn


class Carrier:
    """Brings weights to a device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def fetch(self, resting: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Tensors in main memory -> the same on the device. What is there already stays as it is."""
        return [tensor.to(self.device) for tensor in resting]


def carrier_to(device: torch.device) -> Carrier | None:
    """What brings weights to ``device``; None for main memory itself, where nothing moves."""
    return None if device.type == 'cpu' else Carrier(device)


def tensors_of(networks: Iterable[nn.Module]) -> list[torch.Tensor]:
    """The weights and buffers of ``networks``."""
    return [tensor for network in networks for tensor in chain(network.parameters(), network.buffers())]


@contextmanager
def on_device(tensors: Sequence[torch.Tensor], carrier: Carrier) -> Iterator[None]:
    """Have ``tensors`` on the device for a while.

    Their memory on the device is free afterwards. Main memory keeps its copy, so that nothing has to be brought back;
    what somebody changes on the device is lost. It may be entered again inside.
    """
    resting = [tensor.data for tensor in tensors]
    try:
        for tensor, here in zip(tensors, carrier.fetch(resting), strict=True):
            tensor.data = here
        yield
    finally:
        for tensor, data in zip(tensors, resting, strict=True):
            tensor.data = data
