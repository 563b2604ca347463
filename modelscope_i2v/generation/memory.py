"""An estimate of the memory that a call needs, from the configuration and the size of the video.

It counts the tensors that are alive at the peak of each phase. How far off it was: within 1 % of PyTorch's fake
tensors for the full-size networks, and within 6 % for the others in the tests. On a CPU, whole calls of the embedded
models made resident memory grow by 1.0 to 1.2 times an estimate above 700 MiB, and by up to twice a smaller one:
buffers inside of convolutions are not counted. So a call that only just fits may still run out of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from modelscope_i2v.generation.output import bytes_held
from modelscope_i2v.networks.parameters import AutoencoderParameters, UNetParameters

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.generation.video_size import VideoSize
    from modelscope_i2v.model_folder import ModelFolder
    from modelscope_i2v.runtime.execution import Execution

#: Pixels that the autoencoder processes at a time. It bounds the activations to those of a few frames of 448x256.
CHUNK_PIXELS = 4 * 448 * 256
#: The autoencoder and the latents are in float32.
FLOAT = 4
#: Tensors of the latents' size that a sampler holds: x, the guided predictions, earlier estimates.
LATENT_COPIES = 10
#: A decoded frame is scaled, clamped and converted in float32, three channels each.
PIXEL_COPIES = 3 * 3 * FLOAT
#: Values of one token, in units of the width, at the peak of a transformer: the projection of GEGLU (8), its gate (4)
#: and their product (4), with the normed input, the sum before, the query and the input itself.
TRANSFORMER = 20


@dataclass(frozen=True)
class Estimate:
    """Bytes that a call needs.

    Attributes:
        weights: of networks that are not loaded yet, on the device.
        device: what the networks compute with, on the device.
        results: what the call returns or writes, in main memory.
    """

    weights: int
    device: int
    results: int


def frames_at_a_time(pixels: int) -> int:
    """How many frames of ``pixels`` pixels the autoencoder processes together."""
    return max(1, CHUNK_PIXELS // pixels)


def unet_activations(unet: UNetParameters, frames: int, height: int, width: int, *, itemsize: int, math: bool) -> int:
    """Bytes that one pass of the UNet holds at its peak, without weights.

    Args:
        frames, height, width: of the latents.
        itemsize: bytes of one value.
        math: whether attention keeps its whole matrix.
    """
    widths, depth, pixels = unet.widths, unet.num_res_blocks, height * width
    inner = unet.num_heads * unet.num_head_channels
    per_pixel = [TRANSFORMER * inner + unet.model_channels]
    matrices = [unet.num_heads * frames * pixels * frames]
    skips = 0.0
    for level, own in enumerate(widths):
        smaller = 4**level
        # The first block of a level on the way up also gets the coarser level, joined with a skip connection.
        coarser, finer = widths[min(level + 1, len(widths) - 1)], widths[max(level - 1, 0)]
        joined = own + coarser
        attended = 2**level in unet.attention_resolutions
        busy = (TRANSFORMER + 1) * own + joined if attended else 3 * joined
        left = finer + (depth - 1) * own if level else depth * own
        per_pixel.append((busy + coarser + left) / smaller + skips)
        skips += (finer + depth * own) / smaller
        if attended:
            heads, tokens = own // unet.num_head_channels, pixels / smaller
            matrices.append(int(heads * frames * tokens * max(tokens, frames)))
    held = (max(per_pixel) + unet.in_channels) * frames * pixels
    return int(itemsize * (held + (2 * max(matrices) if math else 0)))


def decoder_activations(autoencoder: AutoencoderParameters, frames: int, pixels: int) -> int:
    """Bytes that decoding ``frames`` frames of ``pixels`` pixels together holds at its peak, without weights."""
    widths = autoencoder.widths
    # The first block of a level gets the coarser level's width, normed, and activated; the others a whole level's.
    blocks = (
        max(3 * coarser, coarser + 4 * own) / 4**level
        for level, (own, coarser) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True))
    )
    return max(int(frames * pixels * FLOAT * max(blocks)), _middle(autoencoder, frames, pixels))


def encoder_activations(autoencoder: AutoencoderParameters, frames: int, pixels: int) -> int:
    """Bytes that encoding ``frames`` frames of ``pixels`` pixels together holds at its peak, without weights."""
    tensors = 5 if autoencoder.num_res_blocks > 1 else 4  # from the second block on, the level's input is kept, too
    blocks = (tensors * own / 4**level for level, own in enumerate(autoencoder.widths))
    return max(int(frames * pixels * FLOAT * max(blocks)), _middle(autoencoder, frames, pixels))


def weight_bytes(folder: ModelFolder, dtype: torch.dtype) -> int:
    """Bytes of a model's weights once they are loaded, counted on the meta device in a fraction of a second.

    Raises:
        ConfigurationError: if the networks cannot be built.
    """
    networks = folder.build_networks()
    total = 0
    for key, network in networks.items():
        itemsize = FLOAT if key == 'ckpt_autoencoder' else dtype.itemsize
        for weights in network.state_dict().values():
            total += weights.numel() * (itemsize if weights.is_floating_point() else weights.element_size())
    return total


def estimate(
    configuration: StageConfiguration,
    arguments: GenerationArguments,
    execution: Execution,
    size: VideoSize,
    *,
    weights: int = 0,
) -> Estimate:
    """The memory that a call needs for a video of ``size``, whose frames are known.

    Args:
        weights: bytes of the weights, if they are not loaded yet.
    """
    frames, factor = size.frames or 1, configuration.autoencoder.downsampling_factor
    height, width = size.height // factor, size.width // factor
    latents = FLOAT * LATENT_COPIES * configuration.unet.in_channels * frames * height * width
    sampling = unet_activations(
        configuration.unet,
        configuration.frames_together(frames),
        height,
        width,
        itemsize=execution.dtype.itemsize,
        math=execution.attention == 'math',
    )
    together = min(frames, frames_at_a_time(size.pixels))
    pixels = together * size.pixels * PIXEL_COPIES
    phases = [sampling]
    if configuration.encodes_input(arguments):
        phases.append(pixels + encoder_activations(configuration.autoencoder, together, size.pixels))
    if arguments.output_type != 'latent':
        phases.append(pixels + decoder_activations(configuration.autoencoder, together, size.pixels))
    return Estimate(
        weights=weights,
        device=latents + max(phases),
        results=frames * size.pixels * bytes_held(arguments),
    )


def _middle(autoencoder: AutoencoderParameters, frames: int, pixels: int) -> int:
    """The attention between all pixels of the coarsest level: two whole matrices, and seven tensors of its input.

    Channels are not the last dimension in memory there, so PyTorch's fused kernels do not take it, and no back end of
    ours avoids the matrices.
    """
    tokens = pixels // autoencoder.downsampling_factor**2
    return FLOAT * frames * (2 * tokens**2 + 7 * autoencoder.widths[-1] * tokens)
