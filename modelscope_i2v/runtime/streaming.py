"""A network whose blocks come to the device one after the other, each while the one before it computes.

diffusers offloads groups of layers and accelerate single ones in a similar way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from modelscope_i2v.runtime.placement import Carrier, on_device, tensors_of


@contextmanager
def streamed(network: nn.Module, blocks: Sequence[nn.Module], carrier: Carrier) -> Iterator[None]:
    """Have ``network`` on the device for a while, but of its ``blocks`` only two at a time.

    Args:
        blocks: in the order in which they compute. Some may be left out; then the next one is fetched when it is due,
            not ahead.
        carrier: brings them to the device.
    """
    streamed_tensors = {id(tensor) for tensor in tensors_of(blocks)}
    others = [tensor for tensor in tensors_of([network]) if id(tensor) not in streamed_tensors]
    stream = _Stream(blocks, carrier)
    handles = [
        block.register_forward_pre_hook(lambda *_, index=index: stream.reach(index))
        for index, block in enumerate(blocks)
    ]
    try:
        with on_device(others, carrier):
            yield
    finally:
        for handle in handles:
            handle.remove()
        stream.stop()


class _Stream:
    """Which blocks are on the device."""

    def __init__(self, blocks: Sequence[nn.Module], carrier: Carrier) -> None:
        self._carrier = carrier
        self._tensors = [tensors_of([block]) for block in blocks]
        self._resting = [[carrier.prepare(tensor.data) for tensor in tensors] for tensors in self._tensors]
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
        for tensors, resting in zip(self._tensors, self._resting, strict=True):
            for tensor, data in zip(tensors, resting, strict=True):
                tensor.data = data  # as prepared, so that the next call need not do it again

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
