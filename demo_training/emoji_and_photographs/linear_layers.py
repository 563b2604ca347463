"""Layers of an :class:`AutoencoderKL` that compute something linear: a start for one that is to be trained.

Its decoder has to double sizes by nearest neighbours and a convolution. Such a step can tell even from odd pixels only
by their neighbours. It can put pixels back where they were, blurred by (1, 2, 1) / 4.

In front of each last normalisation a value has two channels, one of them with the opposite sign, because
``silu(x) - silu(-x) = x``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from modelscope_i2v.networks import AutoencoderKL

#: Kernels after nearest neighbours that put even and odd pixels back.
EVEN, ODD = (0.0, 0.25, 0.25), (0.25, 0.25, 0.0)
#: The size of the constant channels that keep a normalisation from depending on the picture.
CONSTANT = 64.0
#: By how much a group of which a quarter are such channels is divided.
DIVISOR = CONSTANT / 2


def linear_loss(model: nn.Module, x: torch.Tensor, _: torch.Generator) -> Mapping[str, torch.Tensor]:
    """Mean squared error."""
    squared = (model(x) - x).square().mean()
    return {'loss': squared, 'psnr': 10 * torch.log10(4 / squared.detach())}


@torch.no_grad()
def silence(autoencoder: AutoencoderKL) -> None:
    """Let no layer outside of the residual branches pass anything on, and the branches add nothing."""
    encoder: Any = autoencoder.encoder
    decoder: Any = autoencoder.decoder
    for part in (encoder, decoder):
        for module in part.modules():
            if hasattr(module, 'shortcut'):
                zero(module.conv_out)
            if hasattr(module, 'to_out'):
                zero(module.to_out)
    levels = [level for part in (encoder, decoder) for level in part.levels]
    for layer in (
        *(block.shortcut for level in levels for block in level.residual if isinstance(block.shortcut, nn.Conv2d)),
        *(level.resample for level in levels if level.resample is not None),
        *(encoder.conv_in, encoder.conv_out, decoder.conv_in, decoder.conv_out),
        *(autoencoder.quant_conv, autoencoder.post_quant_conv),
    ):
        zero(layer)


def zero(layer: nn.Module) -> None:
    """Set all weights to 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def put(layer: nn.Conv2d, small: nn.Conv2d) -> None:
    """Give the first channels of ``layer`` the weights of ``small``."""
    rows, columns = small.weight.shape[:2]
    layer.weight[:rows, :columns] = small.weight
    if small.bias is not None and layer.bias is not None:
        layer.bias[:rows] = small.bias


def keep(layer: nn.Conv2d, count: int) -> None:
    """Pass on the first ``count`` channels."""
    middle = layer.kernel_size[0] // 2
    layer.weight[:count, :count, middle, middle] = torch.eye(count)


def _places(count: int, norm: nn.GroupNorm) -> tuple[list[int], list[int]]:
    """The channels of ``count`` values; their opposites are the next ones. And the pairs of constant channels."""
    size = norm.num_channels // norm.num_groups
    pairs, constant = size // 2, size // 8
    values = [group * size + 2 * pair for group in range(norm.num_groups) for pair in range(pairs - constant)]
    constants = [group * size + 2 * pair for group in range(norm.num_groups) for pair in range(pairs - constant, pairs)]
    return values[:count], constants


def split(layer: nn.Conv2d, count: int, norm: nn.GroupNorm) -> None:
    """Pass on ``count`` channels as pairs, with constant ones that decide what the normalisation divides by."""
    values, constants = _places(count, norm)
    for source, place in enumerate(values):
        layer.weight[place, source], layer.weight[place + 1, source] = 1, -1
    bias = layer.bias
    if bias is not None:
        for place in constants:
            bias[place], bias[place + 1] = CONSTANT, -CONSTANT
    undo(norm)


def undo(norm: nn.GroupNorm) -> None:
    """Multiply by what the constant channels make ``norm`` divide by. They have done their work and are left out."""
    nn.init.constant_(norm.weight, DIVISOR)
    nn.init.zeros_(norm.bias)
    for place in _places(0, norm)[1]:
        norm.weight[place : place + 2] = 0


def join(layer: nn.Conv2d, small: nn.Conv2d, norm: nn.GroupNorm) -> None:
    """What ``small`` makes of values, from their pairs."""
    values, _ = _places(small.in_channels, norm)
    rows = small.out_channels
    for source, place in enumerate(values):
        layer.weight[:rows, place] = small.weight[:, source]
        layer.weight[:rows, place + 1] = -small.weight[:, source]
    if small.bias is not None and layer.bias is not None:
        layer.bias[:rows] = small.bias
