"""Weights rest in main memory and come to the device while they are used."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

logger = logging.getLogger(__name__)


class Carrier:
    """Brings weights to a device, one after the other."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def fetch(self, resting: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Tensors in main memory -> the same on the device. What is there already stays as it is."""
        return [tensor.to(self.device) for tensor in resting]

    def prepare(self, resting: torch.Tensor) -> torch.Tensor:
        """A tensor in main memory, as :meth:`fetch_ahead` wants it."""
        return resting

    def fetch_ahead(self, resting: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """As :meth:`fetch`, but what it returns may be used only after the next :meth:`arrive`."""
        return self.fetch(resting)

    def arrive(self) -> None:
        """Let what is computed from now on wait for everything that was fetched ahead."""

    def finish(self) -> None:
        """Wait until everything on the device has been computed."""


class CudaCarrier(Carrier):
    """Brings weights to a GPU on a stream of its own, while the GPU computes."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._can_pin = True

    def prepare(self, resting: torch.Tensor) -> torch.Tensor:
        if not self._can_pin or resting.is_cuda or resting.is_pinned():
            return resting
        try:
            return resting.pin_memory()
        except RuntimeError as error:  # WSL and some containers allow a few GB; the rest is copied as it is
            self._can_pin = False
            logger.warning('Weights cannot be locked in memory, so they reach %s later: %s', self.device, str(error))
            return resting

    def fetch_ahead(self, resting: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        with torch.cuda.stream(self._stream):
            return [tensor.to(self.device, non_blocking=True) for tensor in resting]

    def arrive(self) -> None:
        torch.cuda.current_stream(self.device).wait_stream(self._stream)

    def finish(self) -> None:
        torch.cuda.current_stream(self.device).synchronize()


def carrier_to(device: torch.device) -> Carrier | None:
    """What brings weights to ``device``; None for main memory itself, where nothing moves."""
    if device.type == 'cpu':
        return None
    return CudaCarrier(device) if device.type == 'cuda' else Carrier(device)


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
