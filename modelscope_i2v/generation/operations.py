"""How many floating-point operations networks take, counted on the meta device, where nothing is computed.

A multiplication and an addition are two operations. Norms, activations and sums of features are not counted. What was
counted once for a shape is remembered: a UNet takes about four seconds of a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.networks.parameters import AutoencoderParameters, UNetParameters
from modelscope_i2v.networks.unet import DeepFeatures, SpatioTemporalUNet

META = torch.device('meta')


def counted(run: Callable[[], Any]) -> int:
    """The operations of ``run()``, whose networks and tensors are on the meta device, and need no gradients.

    With autograd, nothing is cut into slices, which would take ten times as long to count.
    """
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        run()
    return int(counter.get_total_flops())


@cache
def unet_operations(
    kind: type[SpatioTemporalUNet],
    parameters: UNetParameters,
    frames: int,
    height: int,
    width: int,
    *,
    outer: bool = False,
) -> int:
    """Those of one pass of a UNet for latents of ``frames`` x ``height`` x ``width``.

    Args:
        kind: the class of the UNet.
        outer: whether the pass reuses deep features.
    """
    factory: Callable[..., SpatioTemporalUNet] = kind  # a stage's class takes the fields of its parameters
    unet = build_on_meta(lambda: factory(**asdict(parameters))).requires_grad_(False)
    x = torch.empty(1, parameters.in_channels, frames, height, width, device=META)
    inputs = x, torch.empty(1, device=META), *unet.empty_conditions(x)
    if not outer:
        return counted(lambda: unet(*inputs))
    deep = DeepFeatures()
    with torch.enable_grad():  # as in counted()
        unet(*inputs, deep=deep)
    return counted(lambda: unet(*inputs, deep=deep))


@cache
def encoding_operations(parameters: AutoencoderParameters, height: int, width: int, bands: int = 1) -> int:
    """Those of encoding one frame of ``height`` x ``width`` pixels in ``bands`` bands of rows."""
    frame = torch.empty(1, 3, height, width, device=META)
    return _in_bands(lambda count: _autoencoder(parameters).encode(frame, count), bands)


@cache
def decoding_operations(parameters: AutoencoderParameters, height: int, width: int, bands: int = 1) -> int:
    """Those of decoding one frame of ``height`` x ``width`` pixels in ``bands`` bands of rows."""
    factor = parameters.downsampling_factor
    latents = torch.empty(1, parameters.embed_dim, height // factor, width // factor, device=META)
    return _in_bands(lambda count: _autoencoder(parameters).decode(latents, count), bands)


def _in_bands(run: Callable[[int], Any], bands: int) -> int:
    """The operations of ``run(bands)``. Each border between two bands costs the same, so three bands tell of more."""
    if bands <= 3:
        return counted(lambda: run(bands))
    two, three = counted(lambda: run(2)), counted(lambda: run(3))
    return three + (bands - 3) * (three - two)


def _autoencoder(parameters: AutoencoderParameters) -> AutoencoderKL:
    return build_on_meta(lambda: AutoencoderKL(**asdict(parameters))).requires_grad_(False)
