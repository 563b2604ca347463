"""A device for tests: it is main memory, but knows what was brought to it."""

import torch

from modelscope_i2v.runtime.placement import Carrier, tensors_of

NAMES = ('clip', 'unet', 'autoencoder')


class FakeDevice(Carrier):
    """Holds copies of a model's weights, as a GPU would.

    Args:
        model: the model whose networks use this device from now on.
        capacity: bytes of weights that it holds; more is refused as a GPU refuses it.

    Attributes:
        peak: the most bytes of weights that it has held at a time.
    """

    def __init__(self, model, capacity=None):
        super().__init__(torch.device('cpu'))
        self.model, self.capacity, self.peak = model, capacity, 0
        self._brought = {}  # by address: kept, so that nothing else gets the same address
        model.carrier = self

    def fetch(self, resting):
        held, brought = self.held(), []
        for tensor in resting:
            if self._has(tensor):
                brought.append(tensor)
                continue
            held += tensor.nbytes
            if self.capacity is not None and held > self.capacity:
                raise torch.OutOfMemoryError(f'FakeDevice: {held} bytes of {self.capacity}')
            copy = tensor.clone()
            self._brought[copy.data_ptr()] = copy
            brought.append(copy)
        self.peak = max(self.peak, held)
        return brought

    def held(self):
        """Bytes of weights that are here now."""
        return sum(tensor.nbytes for name in NAMES for tensor in self._tensors(name) if self._has(tensor))

    def networks(self):
        """The networks that are here now, if only in part."""
        return {name for name in NAMES if any(map(self._has, self._tensors(name)))}

    def has(self, module):
        """Whether a module is here, as a whole."""
        return all(map(self._has, tensors_of([module])))

    def _tensors(self, name):
        return tensors_of([getattr(self.model, name)])

    def _has(self, tensor):
        return tensor.data_ptr() in self._brought


class Networks:
    """A UNet as a model has it, with nothing else."""

    def __init__(self, unet):
        self.unet, self.clip, self.autoencoder = unet, torch.nn.Identity(), torch.nn.Identity()
