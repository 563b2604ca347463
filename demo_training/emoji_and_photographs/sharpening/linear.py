"""A linear autoencoder, as a start for stage 2's.

On smooth photographs bicubic enlargement errs by a grey level, and it is linear. An autoencoder that starts from chance
takes hours to become as exact. A linear one that starts as a new order of pixels is there within minutes. It blurs
where it doubles the size; the two convolutions at the latents learn to undo the blur in advance.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from demo_training.emoji_and_photographs.linear_layers import EVEN, ODD, join, keep, put, silence, split, undo, zero
from modelscope_i2v.networks import AutoencoderKL

#: Channels after halving: four pixels of each of three colours.
HALF = 12


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
            zero(layer)
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


@torch.no_grad()
def install(linear: LinearAutoencoder, autoencoder: AutoencoderKL) -> None:
    """Make ``autoencoder`` compute what ``linear`` does. Its residual branches add nothing, until they are trained."""
    encoder: Any = autoencoder.encoder
    decoder: Any = autoencoder.decoder
    silence(autoencoder)
    keep(encoder.conv_in, 3)
    put(encoder.levels[0].resample, linear.halved)
    split(encoder.levels[1].residual[0].shortcut, HALF, encoder.norm_out)
    join(encoder.conv_out, linear.latents, encoder.norm_out)
    keep(autoencoder.quant_conv, HALF)
    keep(autoencoder.post_quant_conv, HALF)
    put(decoder.conv_in, linear.from_latents)
    put(decoder.levels[1].resample, linear.to_pixels)
    split(decoder.levels[0].residual[0].shortcut, 3, decoder.norm_out)
    join(decoder.conv_out, linear.picture, decoder.norm_out)
    undo(decoder.levels[0].residual[1].norm_in)
