"""The peak of what a network's pass holds, from fake tensors: shapes without values, on any machine."""

import weakref

import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Peak(TorchDispatchMode):
    """Adds up the storages that operations make, until they are freed."""

    def __init__(self, weights):
        super().__init__()
        self.weights, self.live, self.peak = weights, {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.live and key not in self.weights:
                    self.live[key] = storage.nbytes()
                    weakref.finalize(storage, self.live.pop, key, None)
        self.peak = max(self.peak, sum(self.live.values()))
        return made


def peak_bytes(build, run, dtype=torch.float32):
    """Bytes beyond weights and inputs at the peak of ``run(build(), empty)``; ``empty`` makes tensors."""
    with FakeTensorMode(), torch.no_grad():
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            network = build().eval()
        finally:
            torch.set_default_dtype(default)
        peak = _Peak({part.untyped_storage()._cdata for part in [*network.parameters(), *network.buffers()]})
        call = run(network)
        with peak:
            call()
    return peak.peak
