"""The KL autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, section 3.1).

It works on single images: videos are encoded and decoded frame by frame, in chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from modelscope_i2v.networks.attention import AttentionLayer, attention
from modelscope_i2v.networks.bands import Bands, band_rows, identity
from modelscope_i2v.networks.layers import ResidualBlock, silu
from modelscope_i2v.networks.parameters import AutoencoderParameters
from modelscope_i2v.networks.slicing import in_slices

EPS = 1e-6
#: Log-variances are clipped to this range, as in the original: outside it, the posterior is a point or useless.
LOGVAR_RANGE = (-30.0, 20.0)


class SpatialAttention(AttentionLayer):
    """One-head self-attention over the pixels of an image, with 1x1-convolution projections; residual."""

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, channels, eps=EPS)
        self.to_q = nn.Conv2d(channels, channels, 1)
        self.to_k = nn.Conv2d(channels, channels, 1)
        self.to_v = nn.Conv2d(channels, channels, 1)
        self.to_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm(x)
        query, key, value = (
            rearrange(projection(normed), 'n c h w -> n 1 (h w) c') for projection in (self.to_q, self.to_k, self.to_v)
        )
        # No fused kernel takes so wide a head, so all scores are kept: those of some pixels at a time.
        scores = query.shape[2] ** 2
        attended = in_slices(lambda pixels: attention(pixels, key, value, self.backend), query, dim=2, values=scores)
        out: torch.Tensor = x + self.to_out(rearrange(attended, 'n 1 (h w) c -> n c h w', h=x.shape[2]))
        return out


class Middle(nn.Module):
    """Residual block, attention if wanted, residual block at the coarsest level."""

    def __init__(self, channels: int, num_groups: int, *, attention: bool) -> None:
        super().__init__()
        self.residual_in = ResidualBlock(channels, channels, num_groups=num_groups, eps=EPS)
        self.attention: nn.Module = SpatialAttention(channels, num_groups) if attention else nn.Identity()
        self.residual_out = ResidualBlock(channels, channels, num_groups=num_groups, eps=EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.residual_out(self.attention(self.residual_in(x)))
        return out


class Level(nn.Module):
    """Residual blocks at one resolution, then a resampling convolution unless this level runs last.

    It takes ``x`` ``[N, in_channels, h, w]`` in a list that it empties, so that no caller holds it in memory.
    """

    def __init__(self, in_channels: int, channels: int, depth: int, num_groups: int, *, resample: bool) -> None:
        super().__init__()
        self.residual = nn.ModuleList(
            ResidualBlock(channels if index else in_channels, channels, num_groups=num_groups, eps=EPS)
            for index in range(depth)
        )
        self.resample = self.resampling(channels) if resample else None

    def resampling(self, channels: int) -> nn.Conv2d:
        raise NotImplementedError

    def resampled(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` in the next level's size; the same ``x`` if this level runs last."""
        raise NotImplementedError

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        x = features.pop()
        for block in self.residual:
            x = block(x)
        return self.resampled(x)


class EncoderLevel(Level):
    """Halves the size with a convolution of stride 2 that is padded only on the right and at the bottom."""

    def resampling(self, channels: int) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, 3, stride=2)

    def resampled(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.resample is None else self.resample(F.pad(x, (0, 1, 0, 1)))


class DecoderLevel(Level):
    """Doubles the size with nearest-neighbour interpolation and a convolution."""

    def resampling(self, channels: int) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, 3, padding=1)

    def resampled(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.resample is None else self.resample(F.interpolate(x, scale_factor=2.0, mode='nearest'))


class Encoder(nn.Module):
    """``[N, 3, H, W] -> [N, 2 z_channels, H/f, W/f]``."""

    def __init__(self, parameters: AutoencoderParameters) -> None:
        super().__init__()
        groups = parameters.norm_num_groups
        widths = [parameters.channels * multiple for multiple in parameters.channel_mult]
        self.conv_in = nn.Conv2d(3, parameters.channels, 3, padding=1)
        self.levels = nn.ModuleList(
            EncoderLevel(previous, width, parameters.num_res_blocks, groups, resample=index < len(widths) - 1)
            for index, (previous, width) in enumerate(zip([parameters.channels, *widths[:-1]], widths, strict=True))
        )
        self.middle = Middle(widths[-1], groups, attention=parameters.attention)
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * parameters.z_channels, 3, padding=1)

    def forward(self, x: torch.Tensor, bands: int = 1) -> torch.Tensor:
        features = [self.conv_in(x) if bands == 1 else self._in_bands(x, bands)]
        for level in self.levels if bands == 1 else ():
            features.append(level(features))
        out: torch.Tensor = self.conv_out(silu(self.norm_out(self.middle(features.pop()))))
        return out

    def _in_bands(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """All levels, one band of rows after the other."""
        rows = band_rows(x.shape[2], count, multiple=2 ** (len(self.levels) - 1))
        features, levels = Bands(list(torch.split(x, rows, dim=2))), cast('Sequence[Any]', self.levels)
        features.apply(self.conv_in)
        for level in levels:
            for block in level.residual:
                features.residual(block)
            if level.resample is not None:
                features.apply(level.resampled)
        return features.joined()


class Decoder(nn.Module):
    """``[N, z_channels, h, w] -> [N, 3, f h, f w]``; ``levels[0]`` is the finest and runs last."""

    def __init__(self, parameters: AutoencoderParameters) -> None:
        super().__init__()
        groups = parameters.norm_num_groups
        widths = [parameters.channels * multiple for multiple in parameters.channel_mult]
        self.conv_in = nn.Conv2d(parameters.z_channels, widths[-1], 3, padding=1)
        self.middle = Middle(widths[-1], groups, attention=parameters.attention)
        self.levels = nn.ModuleList(
            DecoderLevel(coarser, width, parameters.num_res_blocks + 1, groups, resample=index > 0)
            for index, (coarser, width) in enumerate(zip([*widths[1:], widths[-1]], widths, strict=True))
        )
        self.norm_out = nn.GroupNorm(groups, parameters.channels * parameters.channel_mult[0], eps=EPS)
        self.conv_out = nn.Conv2d(parameters.channels * parameters.channel_mult[0], 3, 3, padding=1)

    def forward(self, z: torch.Tensor, bands: int = 1) -> torch.Tensor:
        features = [self.middle(self.conv_in(z))]
        if bands > 1:
            return self._in_bands(features, bands)
        for level in reversed(self.levels):
            features.append(level(features))
        out: torch.Tensor = self.conv_out(silu(self.norm_out(features.pop())))
        return out

    def _in_bands(self, whole: list[torch.Tensor], count: int) -> torch.Tensor:
        """All levels, one band of rows after the other."""
        rows = band_rows(whole[0].shape[2], count)
        features, levels = Bands(list(torch.split(whole.pop(), rows, dim=2))), cast('Sequence[Any]', self.levels)
        doubled = identity
        for index, level in reversed(list(enumerate(levels))):
            for block in level.residual:
                features.residual(block, before=doubled)
                doubled = identity
            if index > 1:
                features.apply(level.resampled)
            elif index == 1:
                doubled = level.resampled  # its result would be the largest map of all
        norm_out = features.norm(self.norm_out)
        features.apply(lambda x: self.conv_out(silu(norm_out(x))))
        return features.joined()


class AutoencoderKL(nn.Module):
    """Encodes images in [-1, 1] to a Gaussian over latents and decodes latents to images, without any scale factor.

    Args:
        **autoencoder: the fields of :class:`~modelscope_i2v.networks.parameters.AutoencoderParameters`.

    Raises:
        ConfigurationError: for an impossible parameter.
    """

    def __init__(self, **autoencoder: Any) -> None:
        super().__init__()
        self.config = AutoencoderParameters(**autoencoder)
        z_channels, embed_dim = self.config.z_channels, self.config.embed_dim
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.quant_conv = nn.Conv2d(2 * z_channels, 2 * embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights, in which the network computes, and which its results have."""
        return self.post_quant_conv.weight.dtype

    def encode(self, x: torch.Tensor, bands: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """Images ``[N, 3, H, W]`` in [-1, 1] -> mean and log-variance, each ``[N, embed_dim, H // f, W // f]``.

        Args:
            bands: as in :meth:`decode`.
        """
        mean, logvar = self.quant_conv(self.encoder(x.to(self.dtype), bands)).chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def decode(self, z: torch.Tensor, bands: int = 1) -> torch.Tensor:
        """Latents ``[N, embed_dim, h, w]`` -> images ``[N, 3, f h, f w]``, nominally in [-1, 1], not clamped.

        Args:
            bands: into how many bands of rows the images are cut, at most one for two rows of latents. Only the
                coarsest level, which has the attention, sees whole images. The result is that of whole images, up to
                rounding. More bands take less memory and more time. With nine, a full-size network holds 690 MiB
                instead of 2250 for an image of 1280x720 in float32, and computes 1.8 times as much; encoding it holds
                618 MiB instead of 1350, and computes 1.5 times as much.
        """
        out: torch.Tensor = self.decoder(self.post_quant_conv(z.to(self.dtype)), bands)
        return out
