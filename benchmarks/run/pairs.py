"""Networks of ours and of the original with the same random weights, and their inputs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.run.machine import PRECISIONS
from benchmarks.run.reference import reference_module
from benchmarks.run.rows import NotRunError
from benchmarks.run.sizes import Shape, Size
from modelscope_i2v import networks
from modelscope_i2v.networks.build import build_on_meta

#: Our class, and file and class of the original's network; modelscope does not have the second generation.
UNETS: dict[str, tuple[type[nn.Module], tuple[str, str] | None]] = {
    'image-to-video': (networks.ImageToVideoUNet, ('image_to_video/modules/unet_i2v', 'Img2VidSDUNet')),
    'i2vgen-xl': (networks.I2VGenXLUNet, None),
    'video-to-video': (networks.VideoToVideoUNet, ('video_to_video/modules/unet_v2v', 'Vid2VidSDUNet')),
}
#: Channels of what the text encoder gives.
TEXT_DIM, TOKENS = 1024, 77


@dataclass(frozen=True)
class Pair:
    """Our network and the original's, or why that is missing.

    Attributes:
        reference: None if it is missing.
        why_not: why it is missing.
        precision: ``'fp32'``, ``'fp16'`` or ``'bf16'``.
    """

    ours: Any
    reference: Any
    why_not: str
    precision: str

    def reference_precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """The original casts to half precision within autocast. Without values, any precision goes with any other."""
        if self.precision == 'fp32' or device.type == 'meta':
            return nullcontext()
        return torch.autocast(device.type, dtype=PRECISIONS[self.precision])


def unet_pair(stage: str, size: Size, precision: str, device: torch.device) -> Pair:
    """The UNets of a stage. On the meta device their weights have no values."""
    kind, place = UNETS[stage]
    with_image = {} if stage == 'video-to-video' else {'image_embed_dim': size.image_embed_dim}

    def original() -> nn.Module:
        if place is None:
            raise NotRunError('not run: modelscope does not have the original')
        given = reference_arguments(size, stage)
        return getattr(reference_module(place[0]), place[1])(**given)

    # The original converts the weights of stage 2 only.
    return _pair(
        lambda: kind(**size.unet, **with_image), original, precision, device, convert=stage == 'video-to-video'
    )


def autoencoder_pair(size: Size, precision: str, device: torch.device) -> Pair:
    """The autoencoders; the original's always computes in float32."""

    def original() -> nn.Module:
        given = size.autoencoder
        ddconfig = {
            'double_z': True,
            'z_channels': 4,
            'resolution': 256,
            'in_channels': 3,
            'out_ch': 3,
            'ch': given['channels'],
            'ch_mult': given['channel_mult'],
            'num_res_blocks': given['num_res_blocks'],
            'attn_resolutions': [],
            'dropout': 0.0,
        }
        return reference_module('video_to_video/modules/autoencoder').AutoencoderKL(ddconfig, 4)

    return _pair(lambda: networks.AutoencoderKL(**size.autoencoder), original, precision, device)


def reference_arguments(size: Size, stage: str) -> dict[str, Any]:
    """The arguments of the original's UNet for ours."""
    unet = size.unet
    side = {'y_dim': size.image_embed_dim, 'input_dim': size.image_embed_dim, 'num_tokens': 4}
    return {
        'in_dim': 4,
        'out_dim': 4,
        'context_dim': TEXT_DIM,
        'dim': unet['model_channels'],
        'dim_mult': unet['channel_mult'],
        'num_heads': unet['num_heads'],
        'head_dim': unet['num_head_channels'],
        'num_res_blocks': unet['num_res_blocks'],
        'attn_scales': [1 / factor for factor in unet['attention_resolutions']],
        'use_checkpoint': False,
        **({'y_dim': TEXT_DIM} if stage == 'video-to-video' else side),
    }


def _pair(
    ours: Callable[[], nn.Module],
    original: Callable[[], nn.Module],
    precision: str,
    device: torch.device,
    *,
    convert: bool = False,
) -> Pair:
    dtype = PRECISIONS[precision]
    reference: Any
    reference, why_not = None, ''
    try:
        with torch.random.fork_rng(), torch.device(device):
            reference = original().eval().requires_grad_(False)
    except NotRunError as error:
        why_not = str(error)
    network = build_on_meta(ours).eval().requires_grad_(False)
    if device.type == 'meta':
        return Pair(network.to(dtype), reference and reference.to(dtype), why_not, precision)
    if reference is None:
        fill(network.to_empty(device=device), device)
    else:
        from modelscope_i2v.weights import load_weights  # needs safetensors

        fill(reference, device)
        load_weights(network, reference.state_dict())
        network = network.to(device)
        reference = reference.to(dtype) if convert else reference
    return Pair(network.to(dtype), reference, why_not, precision)


def fill(network: nn.Module, device: torch.device) -> None:
    """Random weights with which activations stay near unit size. Those of norms are near 1."""
    generator = torch.Generator(device).manual_seed(11)
    for module in network.modules():
        around = 1.0 if isinstance(module, (nn.GroupNorm, nn.LayerNorm)) else 0.0
        for name, parameter in module.named_parameters(recurse=False):
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.data.normal_(generator=generator).div_(fan_in**0.5)
            if name == 'weight':
                parameter.data.add_(around)


@dataclass(frozen=True)
class Inputs:
    """Latents, a timestep and the conditions of a pass, float32."""

    latents: torch.Tensor
    timestep: torch.Tensor
    conditions: tuple[torch.Tensor, ...]

    def unconditional(self) -> tuple[torch.Tensor, ...]:
        """The conditions of the other pass of guidance. The frame rate and the picture's latents stay."""
        return tuple(
            torch.zeros_like(each) if each.ndim == 3 else each  # the embeddings of text and picture
            for each in self.conditions
        )

    def to(self, dtype: torch.dtype) -> Inputs:
        """The same in another precision."""
        conditions = tuple(each.to(dtype) if each.is_floating_point() else each for each in self.conditions)
        return Inputs(self.latents.to(dtype), self.timestep, conditions)


def inputs_of(stage: str, size: Size, shape: Shape, device: torch.device) -> Inputs:
    """Noise that depends on the shape only."""
    generator = torch.Generator().manual_seed(5)
    frames, height, width = shape

    def draw(*sides: int) -> torch.Tensor:
        return torch.randn(sides, generator=generator).to(device)

    latents, timestep, fps = draw(1, 4, frames, height, width), torch.tensor([500]), torch.tensor([8])
    image = draw(1, 1, size.image_embed_dim)
    conditions = {
        'image-to-video': lambda: (image, fps.to(device)),
        'i2vgen-xl': lambda: (draw(1, TOKENS, TEXT_DIM), image, draw(1, 4, height, width), fps.to(device)),
        'video-to-video': lambda: (draw(1, TOKENS, TEXT_DIM),),
    }[stage]()
    return Inputs(latents, timestep.to(device), conditions)


def reference_keywords(stage: str, conditions: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """The conditions of a pass as the original's network takes them."""
    names = {'image-to-video': ('y', 'fps'), 'video-to-video': ('y',)}[stage]
    return dict(zip(names, conditions, strict=True))
