"""Weights that rest in eight bits: each is cast to the precision that its network computes in while its layer computes.

A resting weight has the type that PyTorch calls ``float8_e4m3fn``: a sign, four bits of exponent and three of mantissa.
It is kept as bytes, so that whatever moves a network or changes its precision leaves it as it is. Every channel of the
output has a scale, which makes its largest weight the largest number of the type: without one, most weights of a wide
layer are below the smallest normal number.

What is small and what errors hurt most stays as it is: norms, biases and embeddings, and of a UNet its first and last
layers. diffusers casts layer by layer in a similar way, without scales.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, NoReturn, cast

import torch
from torch import nn

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.networks.unet import SpatioTemporalUNet

FP8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FP8).max
#: The smallest scale: the smallest number above 0 that every precision has.
SMALLEST_SCALE = 2.0**-24
#: Kinds of layers, and their weights that may rest in eight bits. The first dimension is that of the output's channels.
MATRICES: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d), 'weight'),
    ((nn.MultiheadAttention,), 'in_proj_weight'),
)
REFUSAL = (
    "Weights that rest in fp8 can neither be saved nor replaced: the original's are gone. Load the model without "
    "'weights_dtype' for that."
)


class Fp8Layer(nn.Module):
    """A layer whose weight rests in eight bits. A subclass is also of the layer's own kind.

    Attributes:
        resting: the weight as bytes, of the weight's shape.
        scale: what each channel of the output is multiplied by, in the precision that the layer computes in.
    """

    resting: torch.Tensor
    scale: torch.Tensor

    def cast(self) -> torch.Tensor:
        """The weight in the precision that the layer computes in: a new tensor every time."""
        return self.resting.view(FP8).to(self.scale.dtype).mul_(self.scale)

    def _save_to_state_dict(self, *_: Any) -> NoReturn:
        raise CheckpointError(REFUSAL)

    def _load_from_state_dict(self, *_: Any) -> NoReturn:
        raise CheckpointError(REFUSAL)


def fp8_weights(network: nn.Module) -> list[tuple[nn.Module, str]]:
    """The layers of ``network`` whose weights may rest in eight bits, and the names of those weights."""
    parts: list[nn.Module] = [network]
    if isinstance(network, SpatioTemporalUNet):
        parts = [network.encoder, network.middle, network.decoder]
    return [
        (layer, name)
        for part in parts
        for layer in part.modules()
        for kinds, name in MATRICES
        if isinstance(layer, kinds) and getattr(layer, name) is not None
    ]


def rest_in_fp8(network: nn.Module) -> None:
    """Round the matrices and convolutions of ``network``, which has numbers, to eight bits.

    Weights that are not finite, or far too large, stay as they are, so that errors name them as usual.
    """
    for layer, name in fp8_weights(network):
        weight = layer.get_parameter(name).detach()
        resting, scale = to_fp8(weight)
        if not scale.isfinite().all():
            continue
        delattr(layer, name)
        layer.register_buffer('resting', resting.view(torch.uint8))
        layer.register_buffer('scale', scale.to(weight.dtype))
        layer.__class__ = _resting_kind(cast('Hashable', type(layer)), name)


def to_fp8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight of a layer, ``[out, ...]``, in eight bits, and the scale of each channel, float32 ``[out, 1, ...]``.

    Scales have eight significant bits, so that they are the same in every precision. A scale is not finite if the
    channel's weights are not, or are far too large.
    """
    whole = weight.float()
    largest = whole.flatten(1).abs().amax(1).reshape(-1, *[1] * (weight.ndim - 1))
    scale = (largest / LARGEST).bfloat16().half().float().clamp(min=SMALLEST_SCALE)
    return (whole / scale).clamp(-LARGEST, LARGEST).to(FP8), scale


def is_resting(network: nn.Module) -> bool:
    """Whether weights of ``network`` rest in eight bits."""
    return any(isinstance(layer, Fp8Layer) for layer in network.modules())


@cache
def _resting_kind(kind: type[nn.Module], name: str) -> type[nn.Module]:
    """``kind`` with a weight that is cast when the layer asks for it; one class a kind, so that it compiles once."""
    return type(f'Fp8{kind.__name__}', (Fp8Layer, kind), {name: property(Fp8Layer.cast)})
