"""A linear autoencoder, as a start for stage 2's.

On smooth photographs bicubic enlargement errs by a grey level, and it is linear. An autoencoder that starts from chance
takes hours to become as exact. A linear one that starts as a new order of pixels is there within minutes.

Its decoder has to double sizes as :class:`AutoencoderKL` does: nearest neighbours, then a convolution. Such a step can
tell even from odd pixels only by their neighbours. It can put pixels back where they were, blurred by (1, 2, 1) / 4.
The two convolutions at the latents learn to undo the blur in advance.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modelscope_i2v.networks import AutoencoderKL

#: Channels after halving: four pixels of each of three colours.
HALF = 12
#: Kernels after nearest neighbours that put even and odd pixels back.
EVEN, ODD = (0.0, 0.25, 0.25), (0.25, 0.25, 0.0)
#: The size of the constant channels that keep a normalisation from depending on the picture.
CONSTANT = 64.0
#: By how much a group of which a quarter are such channels is divided.
DIVISOR = CONSTANT / 2


class LinearAutoencoder(nn.Module):
    """The convolutions of an :class:`AutoencoderKL` of factor 2 that lie outside of its residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.halved = nn.Conv2d(3, HALF, 3, stride=2, bias=False).requires_grad_(False)
        self.latents = nn.Conv2d(HALF, HALF, 3, padding=1)
        self.from_latents = nn.Conv2d(HALF, HALF, 3, padding=1)
        self.to_pixels = nn.Conv2d(HALF, 3, 3, padding=1)
        self.picture = nn.Conv2d(3, 3, 3, padding=1)
        self._reorder()

    @torch.no_grad()
    def _reorder(self) -> None:
        """Start as a change of the order of pixels, and back with a blur."""
        for layer in self.children():
            _zero(layer)
        for phase, (down, right) in enumerate(product(range(2), repeat=2)):
            back = torch.outer(*(torch.tensor(ODD if odd else EVEN) for odd in (down, right)))
            for colour in range(3):
                self.halved.weight[4 * colour + phase, colour, down, right] = 1
                self.to_pixels.weight[colour, 4 * colour + phase] = back
        for layer in (self.latents, self.from_latents, self.picture):
            layer.weight[:, :, 1, 1] = torch.eye(len(layer.weight))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures ``[N, 3, H, W]`` -> latents ``[N, 12, H / 2, W / 2]``."""
        out: torch.Tensor = self.latents(self.halved(functional.pad(x, (0, 1, 0, 1))))
        return out

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents -> pictures."""
        doubled = functional.interpolate(self.from_latents(z), scale_factor=2.0, mode='nearest')
        out: torch.Tensor = self.picture(self.to_pixels(doubled))
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def linear_loss(model: nn.Module, x: torch.Tensor, _: torch.Generator) -> Mapping[str, torch.Tensor]:
    """Mean squared error."""
    squared = (model(x) - x).square().mean()
    return {'loss': squared, 'psnr': 10 * torch.log10(4 / squared.detach())}


@torch.no_grad()
def install(linear: LinearAutoencoder, autoencoder: AutoencoderKL) -> None:
    """Make ``autoencoder`` compute what ``linear`` does. Its residual branches add nothing, until they are trained.

    In front of each last normalisation a value has two channels, one of them with the opposite sign, because
    ``silu(x) - silu(-x) = x``.
    """
    encoder: Any = autoencoder.encoder
    decoder: Any = autoencoder.decoder
    for part in (encoder, decoder):
        for module in part.modules():
            if hasattr(module, 'shortcut'):
                _zero(module.conv_out)
    levels = [level for part in (encoder, decoder) for level in part.levels]
    for layer in (
        *(block.shortcut for level in levels for block in level.residual if isinstance(block.shortcut, nn.Conv2d)),
        *(level.resample for level in levels if level.resample is not None),
        *(encoder.conv_in, encoder.conv_out, decoder.conv_in, decoder.conv_out),
        *(autoencoder.quant_conv, autoencoder.post_quant_conv),
    ):
        _zero(layer)
    _pass(encoder.conv_in, 3)
    _put(encoder.levels[0].resample, linear.halved)
    _split(encoder.levels[1].residual[0].shortcut, HALF, encoder.norm_out)
    _join(encoder.conv_out, linear.latents, encoder.norm_out)
    _pass(autoencoder.quant_conv, HALF)
    _pass(autoencoder.post_quant_conv, HALF)
    _put(decoder.conv_in, linear.from_latents)
    _put(decoder.levels[1].resample, linear.to_pixels)
    _split(decoder.levels[0].residual[0].shortcut, 3, decoder.norm_out)
    _join(decoder.conv_out, linear.picture, decoder.norm_out)
    _undo(decoder.levels[0].residual[1].norm_in)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _put(layer: nn.Conv2d, small: nn.Conv2d) -> None:
    """Give the first channels of ``layer`` the weights of ``small``."""
    rows, columns = small.weight.shape[:2]
    layer.weight[:rows, :columns] = small.weight
    if small.bias is not None and layer.bias is not None:
        layer.bias[:rows] = small.bias


def _pass(layer: nn.Conv2d, count: int) -> None:
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


def _split(layer: nn.Conv2d, count: int, norm: nn.GroupNorm) -> None:
    """Pass on ``count`` channels as pairs, with constant ones that decide what the normalisation divides by."""
    values, constants = _places(count, norm)
    for source, place in enumerate(values):
        layer.weight[place, source], layer.weight[place + 1, source] = 1, -1
    bias = layer.bias
    if bias is not None:
        for place in constants:
            bias[place], bias[place + 1] = CONSTANT, -CONSTANT
    _undo(norm)


def _undo(norm: nn.GroupNorm) -> None:
    """Multiply by what the constant channels make ``norm`` divide by. They have done their work and are left out."""
    nn.init.constant_(norm.weight, DIVISOR)
    nn.init.zeros_(norm.bias)
    for place in _places(0, norm)[1]:
        norm.weight[place : place + 2] = 0


def _join(layer: nn.Conv2d, small: nn.Conv2d, norm: nn.GroupNorm) -> None:
    """What ``small`` makes of values, from their pairs."""
    values, _ = _places(small.in_channels, norm)
    rows = small.out_channels
    for source, place in enumerate(values):
        layer.weight[:rows, place] = small.weight[:, source]
        layer.weight[:rows, place + 1] = -small.weight[:, source]
    if small.bias is not None and layer.bias is not None:
        layer.bias[:rows] = small.bias
