"""A linear autoencoder of factor 8, as a start for stage 1's.

The autoencoder of the first version started from chance. After hours it was worse for photographs than the 16 largest
principal components of blocks of 8x8 pixels, which are linear. So a linear one is trained first, within minutes, and
the real one starts by computing the same.

It halves sizes by convolutions of stride 2, and starts there with principal components. It doubles them as
:class:`AutoencoderKL` does, see :mod:`~demo_training.emoji_and_photographs.sharpening.linear`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from demo_training.emoji_and_photographs.architecture import AUTOENCODER
from demo_training.emoji_and_photographs.linear_layers import EVEN, ODD, join, keep, put, silence, split, undo, zero
from modelscope_i2v.networks import AutoencoderKL

#: Channels after each halving, and after the convolution at the latents and each doubling. The network has room for no
#: more: it needs two channels for a value in front of a normalisation.
HALVED = (12, 32, 48)
DOUBLED = (64, 64, 32, 3)
LATENTS: int = AUTOENCODER['z_channels']


class LinearAutoencoder(nn.Module):
    """The convolutions of an :class:`AutoencoderKL` of factor 8 that lie outside of its residual blocks.

    Args:
        pictures: ``[N, 3, H, W]`` in [-1, 1], whose principal components it starts with.
    """

    def __init__(self, pictures: torch.Tensor) -> None:
        super().__init__()
        before = (3, *HALVED[:-1])
        self.halving = nn.ModuleList(nn.Conv2d(*pair, 3, stride=2) for pair in zip(before, HALVED, strict=True))
        self.latents = nn.Conv2d(HALVED[-1], LATENTS, 3, padding=1)
        self.from_latents = nn.Conv2d(LATENTS, DOUBLED[0], 3, padding=1)
        self.doubling = nn.ModuleList(nn.Conv2d(*pair, 3, padding=1) for pair in pairwise(DOUBLED))
        self.picture = nn.Conv2d(3, 3, 3, padding=1)
        self._start(pictures)

    @torch.no_grad()
    def _start(self, x: torch.Tensor) -> None:
        """Principal components of blocks, and back with a blur."""
        for layer in (self.latents, self.from_latents, self.picture):
            zero(layer)
            count = min(layer.weight.shape[:2])
            layer.weight[:count, :count, 1, 1] = torch.eye(count)
        halve: Sequence[Any] = list(self.halving)
        double: Sequence[Any] = list(self.doubling)
        for down, up in zip(halve, reversed(double), strict=True):
            rows, columns = down.weight.shape[:2]
            blocks = functional.unfold(x, 2, stride=2).movedim(1, -1).flatten(0, 1)
            # Not about the mean: grey is 0 here.
            basis = torch.linalg.eigh(blocks.T @ blocks).eigenvectors.flip(1)[:, :rows].T
            basis = basis.reshape(rows, columns, 2, 2)
            zero(down)
            nn.init.zeros_(up.bias)
            up.weight.mul_(0.1)  # channels that are not needed yet
            up.weight[:columns, :rows] = 0
            down.weight[:, :, :2, :2] = basis
            for row, column in product(range(2), repeat=2):
                back = torch.outer(*(torch.tensor(ODD if odd else EVEN) for odd in (row, column)))
                up.weight[:columns, :rows] += basis[:, :, row, column].T[:, :, None, None] * back
            x = self._halved(down, x)

    @staticmethod
    def _halved(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = layer(functional.pad(x, (0, 1, 0, 1)))
        return out

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures ``[N, 3, H, W]`` -> latents ``[N, 16, H / 8, W / 8]``."""
        for layer in self.halving:
            x = self._halved(layer, x)
        out: torch.Tensor = self.latents(x)
        return out

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Latents -> pictures."""
        x = self.from_latents(z)
        for layer in self.doubling:
            x = layer(functional.interpolate(x, scale_factor=2.0, mode='nearest'))
        out: torch.Tensor = self.picture(x)
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))

    @torch.no_grad()
    def balance(self, pictures: torch.Tensor) -> None:
        """Bring the channels of latents closer together: each is divided by the square root of its own size.

        The first ones are brightness and colours, whose errors are seen most. They stay the largest, but no longer by a
        factor of ten.
        """
        sizes = self.encode(pictures).square().mean(dim=(0, 2, 3)).sqrt()
        factors = (sizes / sizes.square().mean().sqrt()).rsqrt()
        self.latents.weight.mul_(factors[:, None, None, None])
        self.from_latents.weight.div_(factors[:, None, None])
        if self.latents.bias is not None:
            self.latents.bias.mul_(factors)


@torch.no_grad()
def install(linear: LinearAutoencoder, autoencoder: AutoencoderKL) -> None:
    """Make ``autoencoder`` compute what ``linear`` does. Its residual branches add nothing, until they are trained."""
    encoder: Any = autoencoder.encoder
    decoder: Any = autoencoder.decoder
    halving: Any = linear.halving
    doubling: Any = linear.doubling
    silence(autoencoder)
    keep(encoder.conv_in, 3)
    for level, layer, count in zip(encoder.levels, halving, (3, *HALVED), strict=False):
        put(level.resample, layer)
        keep_shortcut(level, count)
    split(encoder.levels[-1].residual[0].shortcut, HALVED[-1], encoder.norm_out)
    join(encoder.conv_out, linear.latents, encoder.norm_out)
    keep(autoencoder.quant_conv, LATENTS)
    keep(autoencoder.post_quant_conv, LATENTS)
    put(decoder.conv_in, linear.from_latents)
    for level, layer, count in zip(reversed(decoder.levels), doubling, DOUBLED, strict=False):
        put(level.resample, layer)
        keep_shortcut(level, count)
    split(decoder.levels[0].residual[0].shortcut, 3, decoder.norm_out)
    join(decoder.conv_out, linear.picture, decoder.norm_out)
    undo(decoder.levels[0].residual[1].norm_in)


def keep_shortcut(level: Any, count: int) -> None:
    """Pass on the first ``count`` channels where a level changes its width."""
    shortcut = level.residual[0].shortcut
    if isinstance(shortcut, nn.Conv2d):
        keep(shortcut, count)
