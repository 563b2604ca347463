"""A network whose blocks come to the device one after the other, each while the one before it computes.

diffusers offloads groups of layers and accelerate single ones in a similar way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from modelscope_i2v.networks.unet import SpatioTemporalUNet
from modelscope_i2v.runtime.placement import Carrier, on_device, tensors_of


@contextmanager
def streamed(network: SpatioTemporalUNet, carrier: Carrier) -> Iterator[None]:
    """Have ``network`` on the device for a while, but of its blocks only two at a time.

    A pass may leave blocks out. Then the next one is fetched when it is due, not ahead.

    Args:
        carrier: brings weights to the device.
    """
    blocks = network.blocks
    streamed_tensors = {id(tensor) for tensor in tensors_of(blocks)}
    others = [tensor for tensor in tensors_of([network]) if id(tensor) not in streamed_tensors]
    stream, run = _Stream(blocks, carrier), network.run_block
    numbers = {id(block): index for index, block in enumerate(blocks)}

    def run_streamed(block: nn.Module, *arguments: Any) -> torch.Tensor:
        stream.reach(numbers[id(block)])
        return run(block, *arguments)

    network.run_block = run_streamed  # around a compiled one, so that it need not be compiled again
    try:
        with on_device(others, carrier):
            yield
    finally:
        network.run_block = run
        stream.stop()


def _prepare(tensor: torch.Tensor, carrier: Carrier) -> torch.Tensor:
    """The data of ``tensor`` as ``carrier`` wants it, in its place, so that main memory never has all of it twice."""
    tensor.data = carrier.prepare(tensor.data)
    return tensor.data


class _Stream:
    """Which blocks are on the device."""

    def __init__(self, blocks: Sequence[nn.Module], carrier: Carrier) -> None:
        self._carrier = carrier
        self._tensors = [tensors_of([block]) for block in blocks]
        self._resting = [[_prepare(tensor, carrier) for tensor in tensors] for tensors in self._tensors]
        self._here: set[int] = set()

    def reach(self, index: int) -> None:
        """Have a block on the device, which computes now, and the next one on its way."""
        # Not before the last block has been computed may the memory be used that its weights are in.
        self._carrier.finish()
        for other in self._here - {index}:
            self._put_back(other)
        self._bring(index)
        self._carrier.arrive()
        self._bring((index + 1) % len(self._tensors))  # after the last one, the next pass begins

    def stop(self) -> None:
        """Leave the device."""
        self._carrier.finish()
        for index in list(self._here):
            self._put_back(index)

    def _bring(self, index: int) -> None:
        if index in self._here:
            return
        fetched = self._carrier.fetch_ahead(self._resting[index])
        for tensor, here in zip(self._tensors[index], fetched, strict=True):
            tensor.data = here
        self._here.add(index)

    def _put_back(self, index: int) -> None:
        for tensor, data in zip(self._tensors[index], self._resting[index], strict=True):
            tensor.data = data
        self._here.remove(index)
