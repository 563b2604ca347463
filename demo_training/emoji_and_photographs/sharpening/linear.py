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

import torch
from torch import nn
from torch.nn import functional

from modelscope_i2v.networks import AutoencoderKL

#: Channels after each halving: four pixels of brightness and two colours; then four of each.
HALF, QUARTER = 6, 24
#: Kernels after nearest neighbours that put even and odd pixels back, and one that enlarges smoothly.
EVEN, ODD, SMOOTH = (0.0, 0.25, 0.25), (0.25, 0.25, 0.0), (0.25, 0.5, 0.25)
#: The size of the constant channels that keep a normalisation from depending on the picture.
CONSTANT = 64.0
#: By how much a group of which a quarter are such channels is divided.
DIVISOR = CONSTANT / 2


class LinearAutoencoder(nn.Module):
    """The convolutions of an :class:`AutoencoderKL` of factor 4 that lie outside of its residual blocks."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 1, bias=False)
        self.halved = nn.Conv2d(3, HALF, 3, stride=2, bias=False)
        self.quartered = nn.Conv2d(HALF, QUARTER, 3, stride=2, bias=False)
        self.latents = nn.Conv2d(QUARTER, latents, 3, padding=1)
        self.from_latents = nn.Conv2d(latents, QUARTER, 3, padding=1)
        self.to_halves = nn.Conv2d(QUARTER, HALF, 3, padding=1)
        self.to_pixels = nn.Conv2d(HALF, 3, 3, padding=1)
        self.picture = nn.Conv2d(3, 3, 3, padding=1)
        for layer in (self.colours, self.halved, self.quartered):
            layer.requires_grad_(False)
        self._reorder()

    @torch.no_grad()
    def _reorder(self) -> None:
        """Start as a change of the order of pixels, and back with a blur."""
        for layer in self.children():
            layer.weight.zero_()  # type: ignore[operator, union-attr]
            if layer.bias is not None:
                layer.bias.zero_()  # type: ignore[operator]
        rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
        colours = rows / rows.norm(dim=1, keepdim=True)
        self.colours.weight[:, :, 0, 0] = colours
        self.picture.weight[:, :, 1, 1] = colours.T
        for phase, (down, right) in enumerate(product(range(2), repeat=2)):
            self.halved.weight[phase, 0, down, right] = 1
            self.halved.weight[4:, 1:, down, right] = torch.eye(2) / 4
            back = torch.outer(*(torch.tensor(ODD if odd else EVEN) for odd in (down, right)))
            self.to_pixels.weight[0, phase] = back
            for channel in range(HALF):
                self.quartered.weight[4 * channel + phase, channel, down, right] = 1
                self.to_halves.weight[channel, 4 * channel + phase] = back
        smooth = torch.outer(torch.tensor(SMOOTH), torch.tensor(SMOOTH))
        for channel in (1, 2):
            self.to_pixels.weight[channel, 3 + channel] = smooth
        for channel in range(QUARTER):
            self.latents.weight[channel, channel, 1, 1] = 1
            self.from_latents.weight[channel, channel, 1, 1] = 1
        nn.init.normal_(self.latents.weight[QUARTER:], std=0.02)
        nn.init.normal_(self.from_latents.weight[:, QUARTER:], std=0.02)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures ``[N, 3, H, W]`` -> latents ``[N, C, H / 4, W / 4]``."""
        x = self.halved(functional.pad(self.colours(x), (0, 1, 0, 1)))
        out: torch.Tensor = self.latents(self.quartered(functional.pad(x, (0, 1, 0, 1))))
        return out

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents -> pictures."""
        x = self.to_halves(functional.interpolate(self.from_latents(z), scale_factor=2.0, mode='nearest'))
        out: torch.Tensor = self.picture(self.to_pixels(functional.interpolate(x, scale_factor=2.0, mode='nearest')))
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
    encoder, decoder = autoencoder.encoder, autoencoder.decoder
    for part in (encoder, decoder):
        for name, module in part.named_modules():
            if hasattr(module, 'shortcut'):
                _zero(module.conv_out)
            if name.endswith('attention'):
                _zero(module.to_out)
    levels = [level for part in (encoder, decoder) for level in part.levels]
    for layer in (
        *(block.shortcut for level in levels for block in level.residual if isinstance(block.shortcut, nn.Conv2d)),
        *(level.resample for level in levels if level.resample is not None),
        *(encoder.conv_in, encoder.conv_out, decoder.conv_in, decoder.conv_out),
        *(autoencoder.quant_conv, autoencoder.post_quant_conv),
    ):
        _zero(layer)
    _put(encoder.conv_in, linear.colours)
    _put(encoder.levels[0].resample, linear.halved)
    _pass(encoder.levels[1].residual[0].shortcut, HALF)
    _put(encoder.levels[1].resample, linear.quartered)
    _split(encoder.levels[2].residual[0].shortcut, QUARTER, encoder.norm_out)
    _join(encoder.conv_out, linear.latents, encoder.norm_out)
    latents = autoencoder.config.embed_dim
    _pass(autoencoder.quant_conv, latents)
    _pass(autoencoder.post_quant_conv, latents)
    _put(decoder.conv_in, linear.from_latents)
    _put(decoder.levels[2].resample, linear.to_halves)
    _pass(decoder.levels[1].residual[0].shortcut, HALF)
    _put(decoder.levels[1].resample, linear.to_pixels)
    _split(decoder.levels[0].residual[0].shortcut, 3, decoder.norm_out)
    _join(decoder.conv_out, linear.picture, decoder.norm_out)
    _undo(decoder.levels[0].residual[1].norm_in)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _put(layer: nn.Conv2d, small: nn.Conv2d) -> None:
    """Give the first channels of ``layer`` the weights of ``small``. A kernel of one pixel becomes the middle one."""
    rows, columns = small.weight.shape[:2]
    kernel = layer.weight[:rows, :columns]
    if small.kernel_size == layer.kernel_size:
        kernel.copy_(small.weight)
    else:
        kernel[:, :, 1, 1] = small.weight[:, :, 0, 0]
    if small.bias is not None and layer.bias is not None:
        layer.bias[:rows] = small.bias


def _pass(layer: nn.Conv2d, count: int) -> None:
    """Pass on the first ``count`` channels."""
    layer.weight[:count, :count, 0, 0] = torch.eye(count)


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
