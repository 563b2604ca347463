"""An estimate of the memory that a call needs, from the configuration and the size of the video.

It counts the tensors that are alive at the peak of each phase, in the slices that the networks work in
(:mod:`~modelscope_i2v.networks.slicing`). It takes well under a millisecond, so that a search for what fits can ask for
hundreds of sizes. It was within 2 % of PyTorch's fake tensors for full-size networks, and within 10 % for small ones.
On a CPU, whole calls of small first-generation models made resident memory grow by 1.0 to 1.2 times an estimate above
700 MiB, and by up to twice a smaller one (measured before the networks worked in slices): buffers inside of
convolutions are not counted. So a call that only just fits may still run out of memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from modelscope_i2v.generation.autoencoder_memory import FLOAT, decoder_activations, encoder_activations, portion
from modelscope_i2v.generation.output import bytes_held
from modelscope_i2v.generation.unet_memory import unet_activations
from modelscope_i2v.networks.slicing import slice_limit
from modelscope_i2v.runtime.fp8 import fp8_weights

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.generation.video_size import VideoSize
    from modelscope_i2v.runtime.execution import Execution

#: Tensors of the latents' size that a sampler holds: x, the guided predictions, earlier estimates.
LATENT_COPIES = 10
#: A decoded frame is scaled, clamped and converted in float32, three channels each.
PIXEL_COPIES = 3 * 3 * FLOAT


@dataclass(frozen=True)
class Weights:
    """Bytes of the weights of a model's networks.

    Attributes:
        streamed: the most of the UNet that is on the device at a time if its blocks come one after the other.
        blocks: those of the UNet's weights that are in its blocks.
        clip_cast, unet_cast: the largest weight of the network in the precision that it computes in, which is on the
            device while its layer computes, if weights rest in another one.
    """

    clip: int = 0
    unet: int = 0
    autoencoder: int = 0
    streamed: int = 0
    blocks: int = 0
    clip_cast: int = 0
    unet_cast: int = 0

    @property
    def total(self) -> int:
        """Those of all networks."""
        return self.clip + self.unet + self.autoencoder


#: Those of a model that is not counted.
NO_WEIGHTS = Weights()


@dataclass(frozen=True)
class PhaseMemory:
    """Bytes on the device in one phase of a call.

    Attributes:
        name: ``'encode'``, ``'condition'`` (CLIP), ``'sample'`` or ``'decode'``.
        weights: of the networks that are on the device.
        activations: what they compute with, and the latents.
    """

    name: str
    weights: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.activations


@dataclass(frozen=True)
class Estimate:
    """Bytes that a call needs.

    Attributes:
        phases: what is on the device, in the order of the phases.
        results: what the call returns or writes, in main memory.
        resting: weights that wait in main memory, even while a copy of them is on the device.
        latents: those of a video of several windows, of which the device has one at a time.
    """

    phases: tuple[PhaseMemory, ...]
    results: int
    resting: int
    latents: int = 0

    @property
    def peak(self) -> PhaseMemory:
        """The phase that needs most."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def weights(self) -> int:
        """Those on the device at the peak."""
        return self.peak.weights

    @property
    def device(self) -> int:
        """What the networks compute with at the peak, on the device."""
        return self.peak.activations

    @property
    def main(self) -> int:
        """All bytes in main memory, if that is not the device."""
        return self.resting + self.results + self.latents

    def on(self, device: torch.device) -> int:
        """All bytes on the device that computes, which may be main memory."""
        return self.peak.total + (self.results if device.type == 'cpu' else 0)


def weights_of(
    networks: Mapping[str, nn.Module],
    dtype: torch.dtype,
    autoencoder_dtype: torch.dtype = torch.float32,
    weights_dtype: torch.dtype | None = None,
) -> Weights:
    """The weights of ``networks`` once they are loaded, counted in a fraction of a second, on the meta device too.

    Args:
        networks: by the names of their files, as :meth:`~modelscope_i2v.model_folder.ModelFolder.build_networks` has
            them.
        dtype: of all networks but the autoencoder.
        weights_dtype: what their large weights rest in, see :mod:`~modelscope_i2v.runtime.fp8`; None: ``dtype``.
    """
    unet: Any = networks['ckpt_unet']
    clip = networks['ckpt_clip']
    layers = [*fp8_weights(clip), *fp8_weights(unet)] if weights_dtype else []
    resting = {id(getattr(layer, name)) for layer, name in layers}
    whole, blocks = _bytes_of(unet, dtype, resting), [_bytes_of(block, dtype, resting) for block in unet.blocks]
    pairs = pairwise([*blocks, blocks[0]])
    return Weights(
        clip=_bytes_of(clip, dtype, resting),
        unet=whole,
        streamed=whole - sum(blocks) + max(map(sum, pairs)),
        blocks=sum(blocks),
        autoencoder=_bytes_of(networks['ckpt_autoencoder'], autoencoder_dtype),
        clip_cast=_largest(clip, dtype, resting),
        unet_cast=_largest(unet, dtype, resting),
    )


def estimate(
    configuration: StageConfiguration,
    arguments: GenerationArguments,
    execution: Execution,
    size: VideoSize,
    *,
    weights: Weights = NO_WEIGHTS,
) -> Estimate:
    """The memory that a call needs for a video of ``size``, whose frames are known, at a memory level.

    Args:
        execution: how the networks run; its level says which of them are on the device at a time.
        weights: of all networks.
    """
    offloads = execution.level.offloads and execution.device.type != 'cpu'
    frames, factor = size.frames or 1, configuration.autoencoder.downsampling_factor
    in_window = configuration.frames_together(frames)
    latents_of_frame = FLOAT * configuration.unet.in_channels * size.pixels // factor**2
    elsewhere = in_window < frames and execution.device.type != 'cpu'
    latents = LATENT_COPIES * (in_window if elsewhere else frames) * latents_of_frame

    def phase(name: str, own: int, computed: int) -> PhaseMemory:
        """A phase in which a network with ``own`` bytes computes."""
        return PhaseMemory(name, own if offloads else weights.total, latents + computed)

    itemsize, limit = execution.autoencoder_dtype.itemsize, execution.autoencoder_limit
    most = portion(configuration.autoencoder, size.height, size.width, itemsize=itemsize, limit=limit)
    phases = []
    if encoded := min(configuration.frames_encoded(arguments, frames), most.frames):
        part = (configuration.autoencoder, encoded, size.height, size.width)
        computed = encoder_activations(*part, itemsize=itemsize, bands=most.bands)
        # What was encoded is collected, and joined.
        computed += 2 * (frames - in_window) * latents_of_frame if elsewhere else 0
        phases.append(phase('encode', weights.autoencoder, encoded * size.pixels * PIXEL_COPIES + computed))
    unet = weights.streamed if execution.level.streams else weights.unet
    phases.append(phase('condition', weights.clip, weights.clip_cast))
    sampling = weights.unet_cast + _sampling(configuration, arguments, execution, size)
    phases.append(phase('sample', unet, sampling))
    if arguments.output_type != 'latent':
        decoded = min(frames, most.frames)
        part = (configuration.autoencoder, decoded, size.height, size.width)
        computed = decoder_activations(*part, itemsize=itemsize, bands=most.bands)
        phases.append(phase('decode', weights.autoencoder, decoded * size.pixels * PIXEL_COPIES + computed))
    return Estimate(
        phases=tuple(phases),
        results=frames * size.pixels * bytes_held(arguments),
        resting=weights.total if offloads else 0,
        latents=LATENT_COPIES * frames * latents_of_frame if elsewhere else 0,
    )


def _sampling(
    configuration: StageConfiguration, arguments: GenerationArguments, execution: Execution, size: VideoSize
) -> int:
    """What the UNet computes with, and what it keeps between steps."""
    frames, factor = size.frames or 1, configuration.autoencoder.downsampling_factor
    height, width = size.height // factor, size.width // factor
    in_window = configuration.frames_together(frames)
    passes = 1 if arguments.guidance_scale == 1 else 2
    computed = unet_activations(
        configuration.unet,
        in_window,
        height,
        width,
        itemsize=execution.dtype.itemsize,
        math=execution.attention == 'math',
        limit=slice_limit(execution.device),
    )
    if execution.level.guidance_in_one_batch:
        computed *= passes
    if arguments.cache_interval > 1:  # the features before the last block; windows share some frames
        kept = passes * configuration.unet.widths[0] * height * width * (frames if in_window == frames else 2 * frames)
        computed += execution.dtype.itemsize * kept
    return computed


def _bytes_of(network: nn.Module, dtype: torch.dtype, resting: Collection[int] = ()) -> int:
    """Bytes of the weights of a network that computes in ``dtype``.

    Args:
        resting: ids of weights that rest in eight bits.
    """
    total = 0
    for weights in network.state_dict(keep_vars=True).values():
        if id(weights) in resting:
            total += weights.numel() + len(weights) * dtype.itemsize  # and a scale for each channel
        else:
            total += weights.numel() * (dtype.itemsize if weights.is_floating_point() else weights.element_size())
    return total


def _largest(network: nn.Module, dtype: torch.dtype, resting: Collection[int]) -> int:
    """Bytes in ``dtype`` of the largest weight with an id in ``resting``."""
    return max((weight.numel() * dtype.itemsize for weight in network.parameters() if id(weight) in resting), default=0)
