"""What one pass of each full-size network holds in memory at its peak, without weights and inputs, as a table.

    python -m benchmarks.activation_memory [NETWORK ...]

The networks run on the meta device: every operator is dispatched and every allocation counted, but nothing is computed.
So it needs no memory, and half a minute per UNet. The numbers are the same on every machine, and the same as those of
fake tensors. Attention counts as the fused kernels of GPUs need it; what convolutions need for themselves is left out.
UNets are in half precision, the autoencoder is in float32, one frame at a time, as the pipelines use them.
"""

import argparse
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from modelscope_i2v.networks import AutoencoderKL, I2VGenXLUNet, ImageToVideoUNet, VideoToVideoUNet

MIB = 2**20


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of all live storages that operators created; ``peak`` is the maximum."""

    def __init__(self, *known: torch.Tensor) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.seen: Any = WeakIdKeyDictionary()
        for tensor in known:
            self.seen[tensor.untyped_storage()] = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self.seen:
            return
        size = storage.nbytes()
        self.seen[storage] = size
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.live -= size


@contextmanager
def fused_attention() -> Iterator[None]:
    """Attention like the fused kernels of GPUs, which keep no scores. The meta device would use plain attention.

    A torch function mode would not work: autograd switches it off, and checkpointing recomputes in the backward pass.
    """

    def fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]

    plain = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = fused
    try:
        yield
    finally:
        F.scaled_dot_product_attention = plain


def measured(function: Callable[[], Any], *known: torch.Tensor) -> int:
    """Peak bytes that ``function`` allocates, not counting the ``known`` tensors from before."""
    memory = LiveMemory(*known)
    with memory, torch.no_grad():
        function()
    return memory.peak


@dataclass(frozen=True)
class Pass:
    """One pass of a full-size network.

    Attributes:
        size: of the video, in pixels and frames.
        network: its class.
        inputs: their shapes.
        method: what is called.
        dtype: of weights and activations.
        bands: into how many bands of rows the autoencoder cuts its images.
    """

    size: str
    network: type[nn.Module]
    inputs: tuple[tuple[int, ...], ...]
    method: str = 'forward'
    dtype: torch.dtype = torch.float16
    bands: int = 1

    def peak(self) -> int:
        """Bytes beyond weights and inputs."""
        default = torch.get_default_dtype()
        with torch.device('meta'):
            torch.set_default_dtype(self.dtype)
            try:
                network = self.network().eval()
            finally:
                torch.set_default_dtype(default)
            inputs = [torch.empty(shape) for shape in self.inputs]
        # No fused kernel takes the autoencoder's one head of 512 channels.
        with nullcontext() if self.network is AutoencoderKL else fused_attention():
            options = {'bands': self.bands} if self.bands > 1 else {}
            return measured(lambda: getattr(network, self.method)(*inputs, **options), *network.state_dict().values())


TIMESTEP = FPS = (1,)
TEXT, IMAGE = (1, 77, 1024), (1, 1, 1024)
PASSES = {
    'image-to-video': Pass('448x256, 32 frames', ImageToVideoUNet, ((1, 4, 32, 32, 56), TIMESTEP, IMAGE, FPS)),
    'i2vgen-xl': Pass(
        '1280x704, 16 frames',
        I2VGenXLUNet,
        ((1, 4, 16, 88, 160), TIMESTEP, TEXT, IMAGE, (1, 4, 88, 160), FPS),
    ),
    'video-to-video': Pass('1280x720, 32 frames', VideoToVideoUNet, ((1, 4, 32, 90, 160), TIMESTEP, TEXT)),
    'encoder': Pass('1280x720', AutoencoderKL, ((1, 3, 720, 1280),), 'encode', torch.float32),
    'decoder': Pass('1280x720', AutoencoderKL, ((1, 4, 90, 160),), 'decode', torch.float32),
    'encoder-9': Pass('1280x720, 9 bands', AutoencoderKL, ((1, 3, 720, 1280),), 'encode', torch.float32, bands=9),
    'decoder-9': Pass('1280x720, 9 bands', AutoencoderKL, ((1, 4, 90, 160),), 'decode', torch.float32, bands=9),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='*', metavar='NETWORK', help=f'of {", ".join(PASSES)}; by default all')
    names = parser.parse_args().networks or list(PASSES)
    if unknown := sorted(set(names) - set(PASSES)):
        parser.error(f'unknown networks {unknown}; choose from {", ".join(PASSES)}')
    print('| network | size | activations |\n|---|---|---|')
    for name in names:
        print(f'| {name} | {PASSES[name].size} | {PASSES[name].peak() / MIB:.0f} MiB |', flush=True)


if __name__ == '__main__':
    main()
