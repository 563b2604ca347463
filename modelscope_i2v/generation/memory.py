"""An estimate of the memory that a call needs, from the configuration and the size of the video.

It counts the tensors that are alive at the peak of each phase, in the slices that the networks work in
(:mod:`~modelscope_i2v.networks.slicing`). It was within 1 % of PyTorch's fake tensors for full-size networks, and
within 10 % for small ones. On a CPU, whole calls of the embedded models made resident memory grow by 1.0 to 1.2 times
an estimate above 700 MiB, and by up to twice a smaller one (measured before the networks worked in slices): buffers
inside of convolutions are not counted. So a call that only just fits may still run out of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from modelscope_i2v.generation.autoencoder_memory import FLOAT, decoder_activations, encoder_activations, portion
from modelscope_i2v.generation.output import bytes_held
from modelscope_i2v.networks.parameters import UNetParameters
from modelscope_i2v.networks.slicing import slice_length

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.generation.video_size import VideoSize
    from modelscope_i2v.runtime.execution import Execution

#: Tensors of the latents' size that a sampler holds: x, the guided predictions, earlier estimates.
LATENT_COPIES = 10
#: A decoded frame is scaled, clamped and converted in float32, three channels each.
PIXEL_COPIES = 3 * 3 * FLOAT
#: Values of one token, in units of the width, at the peak of a transformer: the projection of GEGLU (8), its gate (4)
#: and their product (4), with the normed input, the sum before, the query and the input itself.
TRANSFORMER = 20
#: Tensors that the temporal convolutions of a residual block hold at a time: its input, and what comes before, within
#: and after a convolution.
TEMPORAL_CONVOLUTIONS = 4


@dataclass(frozen=True)
class Weights:
    """Bytes of the weights of a model's networks.

    Attributes:
        streamed: the most of the UNet that is on the device at a time if its blocks come one after the other.
    """

    clip: int = 0
    unet: int = 0
    autoencoder: int = 0
    streamed: int = 0

    @property
    def total(self) -> int:
        """Those of all networks."""
        return self.clip + self.unet + self.autoencoder


#: Those of a model that is not counted.
NO_WEIGHTS = Weights()


@dataclass(frozen=True)
class Estimate:
    """Bytes that a call needs at its peak.

    Attributes:
        weights: of the networks that are on the device.
        device: what the networks compute with, on the device.
        results: what the call returns or writes, in main memory.
    """

    weights: int
    device: int
    results: int

    def on(self, device: torch.device) -> int:
        """All bytes on the device that computes, which may be main memory."""
        return self.weights + self.device + (self.results if device.type == 'cpu' else 0)


def unet_activations(unet: UNetParameters, frames: int, height: int, width: int, *, itemsize: int, math: bool) -> int:
    """Bytes that one pass of the UNet holds at its peak, without weights.

    Args:
        frames, height, width: of the latents.
        itemsize: bytes of one value.
        math: whether attention keeps its whole matrix.
    """
    depth, inner = unet.num_res_blocks, unet.num_heads * unet.num_head_channels
    finest = frames * height * width
    # A temporal transformer also holds its input after the norm.
    peaks = [2 * unet.model_channels * finest + _in_transformer(unet.model_channels, inner, finest, height)]
    scores = [_scores(unet.num_heads, unet.model_channels, finest, frames, height)]
    skips = 0
    rows, columns = height, width
    # Heights that cannot be halved grow by a row instead, on every level.
    extra_row = int(height % unet.downsampling_factor != 0)
    for level, own in enumerate(unet.widths):
        # Values of one channel; widths of the levels beside this one.
        values = frames * rows * columns
        finer = unet.widths[level - 1] if level else unet.model_channels
        coarser = unet.widths[min(level + 1, len(unet.widths) - 1)]
        left = skips + (finer + (depth - 1) * own) * values
        peaks.append(left + _joined(coarser, own, values, frames))
        peaks.append(left + TEMPORAL_CONVOLUTIONS * own * values)
        if 2**level in unet.attention_resolutions:
            peaks.append(left + own * values + _in_transformer(own, own, values, frames))
            peaks.append(left + 2 * own * values + _in_transformer(own, own, values, rows))
            heads = own // unet.num_head_channels
            scores.append(_scores(heads, own, values, values // frames, frames))
            scores.append(_scores(heads, own, values, frames, rows))
        if level:
            peaks.append(skips + _upsampled(own, values, frames))
        skips += (finer + depth * own) * values
        if level == len(unet.widths) - 1:  # the block in the middle, which uses up no skip connection
            peaks.append(skips + 2 * own * values + _in_transformer(own, own, values, rows))
        rows, columns = max(1, rows // 2 + extra_row), max(1, columns // 2)
    held = max(peaks) + unet.in_channels * finest
    return int(itemsize * (held + (2 * max(scores) if math else 0)))


def weights_of(
    networks: Mapping[str, nn.Module], dtype: torch.dtype, autoencoder_dtype: torch.dtype = torch.float32
) -> Weights:
    """The weights of ``networks`` once they are loaded, counted in a fraction of a second, on the meta device too.

    Args:
        networks: by the names of their files, as :meth:`~modelscope_i2v.model_folder.ModelFolder.build_networks` has
            them.
        dtype: of all networks but the autoencoder.
    """
    unet: Any = networks['ckpt_unet']
    whole, blocks = _bytes_of(unet, dtype), [_bytes_of(block, dtype) for block in unet.blocks]
    pairs = pairwise([*blocks, blocks[0]])
    return Weights(
        clip=_bytes_of(networks['ckpt_clip'], dtype),
        unet=whole,
        streamed=whole - sum(blocks) + max(map(sum, pairs)),
        autoencoder=_bytes_of(networks['ckpt_autoencoder'], autoencoder_dtype),
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

    def present(own: int) -> int:
        """Weights on the device while a network with ``own`` bytes computes."""
        return own if offloads else weights.total

    frames, factor = size.frames or 1, configuration.autoencoder.downsampling_factor
    height, width = size.height // factor, size.width // factor
    latents = FLOAT * LATENT_COPIES * configuration.unet.in_channels * frames * height * width
    in_window = configuration.frames_together(frames)
    passes = 1 if arguments.guidance_scale == 1 else 2
    sampling = unet_activations(
        configuration.unet,
        in_window,
        height,
        width,
        itemsize=execution.dtype.itemsize,
        math=execution.attention == 'math',
    )
    if execution.guidance_in_one_batch:
        sampling *= passes
    if arguments.cache_interval > 1:  # the features before the last block; windows share some frames
        kept = passes * configuration.unet.widths[0] * height * width * (frames if in_window == frames else 2 * frames)
        sampling += execution.dtype.itemsize * kept
    itemsize, limit = execution.autoencoder_dtype.itemsize, execution.autoencoder_limit
    most = portion(configuration.autoencoder, size.height, size.width, itemsize=itemsize, limit=limit)
    together = min(frames, most.frames)
    part = (configuration.autoencoder, together, size.height, size.width)
    pixels = together * size.pixels * PIXEL_COPIES
    # Weights, and what the networks compute with.
    unet = weights.streamed if execution.level.streams else weights.unet
    phases = [(present(unet), sampling), (present(weights.clip), 0)]
    if configuration.encodes_input(arguments):
        phases.append(
            (present(weights.autoencoder), pixels + encoder_activations(*part, itemsize=itemsize, bands=most.bands))
        )
    if arguments.output_type != 'latent':
        phases.append(
            (present(weights.autoencoder), pixels + decoder_activations(*part, itemsize=itemsize, bands=most.bands))
        )
    held, computed = max(phases, key=sum)
    return Estimate(
        weights=held,
        device=latents + computed,
        results=frames * size.pixels * bytes_held(arguments),
    )


def _bytes_of(network: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of the weights of a network that computes in ``dtype``."""
    return sum(
        weights.numel() * (dtype.itemsize if weights.is_floating_point() else weights.element_size())
        for weights in network.state_dict().values()
    )


def _in_slices(count: int, values: int, inside: float, result: int) -> float:
    """Values that a layer holds besides its input of ``values``, if it takes ``count`` frames or rows in slices.

    Args:
        inside: what it would hold for the whole input, including the ``result``.
    """
    length = slice_length(count, values)
    second = min(length, count - length)  # the result is there from the second slice on
    return max(inside * length / count, result + inside * second / count if second else 0)


def _joined(coarser: int, own: int, values: int, frames: int) -> float:
    """The first convolutions of a block on the way up, which joins a coarser level with a skip connection."""
    joined = coarser + own
    inside = max(2 * joined + own, joined + 3 * own) * values
    return joined * values + _in_slices(frames, max(coarser, own) * values, inside, own * values)


def _in_transformer(own: int, inner: int, values: int, count: int) -> float:
    """What a transformer holds besides its input, in slices of ``count`` frames or rows."""
    return _in_slices(count, own * values, TRANSFORMER * inner * values, own * values)


def _upsampled(own: int, values: int, frames: int) -> float:
    """A level's result, and four times as many pixels before and after a convolution."""
    return own * values + _in_slices(frames, own * values, 8 * own * values, 4 * own * values)


def _scores(heads: int, own: int, values: int, keys: int, count: int) -> float:
    """The scores of attention of ``values`` pixels to ``keys`` others each, in slices of ``count`` frames or rows."""
    return heads * values * keys * slice_length(count, own * values) / count
