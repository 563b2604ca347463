"""The trunk of the spatio-temporal UNets, which all stages share.

The trunk follows VideoComposer (Wang et al. 2023, arXiv 2306.02018): Stable Diffusion's UNet whose residual blocks end
in temporal convolutions and whose attention levels alternate a spatial and a temporal transformer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn
from torch.utils.checkpoint import checkpoint

from modelscope_i2v.errors import InputError
from modelscope_i2v.networks.layers import (
    EmbeddingMLP,
    SpatialTransformer,
    SpatioTemporalResidualBlock,
    TemporalTransformer,
    silu,
    sinusoidal_embedding,
)
from modelscope_i2v.networks.parameters import UNetParameters
from modelscope_i2v.networks.slicing import in_slices


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2: ``[N, C, h, w] -> [N, C, h/2, w/2]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution, by frames: ``[N, C, h, w] -> [N, C, 2h, 2w]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_slices(lambda frames: self.conv(self.resize(frames)), x, dim=0)

    def resize(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, h, w] -> [N, C, 2h, 2w]``."""
        return F.interpolate(x, scale_factor=2.0, mode='nearest')


class UNetBlock(nn.Module):
    """The layers between two skip connections: residual block, optional transformers, optional resampling.

    It takes its features in a list that it empties, as
    :class:`~modelscope_i2v.networks.layers.SpatioTemporalResidualBlock` does.
    """

    def __init__(
        self,
        parameters: UNetParameters,
        in_channels: int,
        out_channels: int,
        *,
        attention: bool,
        resample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        groups, head = parameters.norm_num_groups, parameters.num_head_channels
        self.residual = SpatioTemporalResidualBlock(
            in_channels, out_channels, parameters.time_embed_dim, num_groups=groups
        )
        self.spatial_transformer = self.temporal_transformer = None
        if attention:
            self.spatial_transformer = SpatialTransformer(out_channels, head, parameters.context_dim, num_groups=groups)
            self.temporal_transformer = TemporalTransformer(out_channels, out_channels // head, head, num_groups=groups)
        self.resample = resample

    def forward(
        self, features: list[torch.Tensor], embedding: torch.Tensor, context: torch.Tensor, num_frames: int
    ) -> torch.Tensor:
        x: torch.Tensor = self.residual(features, embedding, num_frames)
        if self.spatial_transformer is not None and self.temporal_transformer is not None:
            x = self.spatial_transformer(x, context)
            x = self.temporal_transformer(x, num_frames)
        return x if self.resample is None else self.resample(x)


class MiddleBlock(UNetBlock):
    """The coarsest level: residual block, both transformers, residual block."""

    def __init__(self, parameters: UNetParameters) -> None:
        width = parameters.widths[-1]
        super().__init__(parameters, width, width, attention=True)
        self.residual_out = SpatioTemporalResidualBlock(
            width, width, parameters.time_embed_dim, num_groups=parameters.norm_num_groups
        )

    def forward(
        self, features: list[torch.Tensor], embedding: torch.Tensor, context: torch.Tensor, num_frames: int
    ) -> torch.Tensor:
        attended = [super().forward(features, embedding, context, num_frames)]
        out: torch.Tensor = self.residual_out(attended, embedding, num_frames)
        return out


@dataclass
class DeepFeatures:
    """The features of the inner blocks of a pass, for later passes at similar timesteps to reuse.

    Attributes:
        outer_blocks: how many of the decoder's last blocks are outside, and computed in every pass; at most as many as
            its finest level has.
        hidden: the features before those blocks, ``[(B F), C, h, w]``; None: the next pass computes them.
    """

    outer_blocks: int = 1
    hidden: torch.Tensor | None = None


def run_block(block: nn.Module, features: list[torch.Tensor], *conditions: Any) -> torch.Tensor:
    """The features after ``block``, which empties the list of those before it."""
    out: torch.Tensor = block(features, *conditions)
    return out


class SpatioTemporalUNet(nn.Module):
    """The trunk: latents, a timestep embedding and context tokens in; the network's prediction (v) out.

    Subclasses define how the conditions become an embedding, a context and further channels beside the latents, and how
    features are resampled.

    Spatial layers see frames as a batch. Temporal layers unfold them into whole videos, and fold them back::

        latents            B C F h w            and the extra channels, if any
                               |  frames into the batch
        conv_in            (B F) C h w
        encoder            (B F) C h w        finest level first, a skip connection after every block
          a block:         (B F) C h w    ->  residual: 3x3 convolutions of each frame
                           B C F h w      ->  residual: convolutions over three frames
                           (B F) (h w) C  ->  spatial transformer: pixels of one frame, then the context
                           (B h w) F C    ->  temporal transformer: frames of one pixel
        middle             (B F) C h w        coarsest level
        decoder            (B F) C h w        the same blocks, coarsest level first, each with a skip connection
        conv_out           (B F) C h w
                               |  frames out of the batch
        prediction         B C F h w

    Args:
        parameters: sizes of the network.
        extra_channels: how many channels of conditions :meth:`trunk` takes beside the latents.

    Attributes:
        activation_checkpointing: while training, keep only the borders of each block and recompute the inside during
            the backward pass (Chen et al. 2016): several times less memory for about a third more time.
        run_block: calls a block, ``(block, features, *conditions) -> features``; may be replaced, by a compiled one.
    """

    downsample: ClassVar[type[nn.Module]] = Downsample
    upsample: ClassVar[type[nn.Module]] = Upsample
    #: Latent heights must be this much more than a multiple of the downsampling factor.
    height_remainder: ClassVar[int] = 0
    #: The modules that sharded training keeps together, under the name that accelerate looks for.
    _no_split_modules: ClassVar[tuple[str, ...]] = ('UNetBlock', 'MiddleBlock')

    def __init__(self, parameters: UNetParameters, extra_channels: int = 0) -> None:
        super().__init__()
        self.config = parameters
        self.activation_checkpointing = False
        self.run_block: Callable[..., torch.Tensor] = run_block
        widths, depth = parameters.widths, parameters.num_res_blocks
        levels = range(len(widths))
        attended = [2**level in parameters.attention_resolutions for level in levels]

        # Input: the timestep, and the first features.
        base = parameters.model_channels
        self.time_embedding = EmbeddingMLP(base, parameters.time_embed_dim, parameters.time_embed_dim)
        self.conv_in = nn.Conv2d(parameters.in_channels + extra_channels, base, 3, padding=1)
        self.temporal_in = TemporalTransformer(
            base, parameters.num_heads, parameters.num_head_channels, num_groups=parameters.norm_num_groups
        )

        # Encoder: `depth` blocks per level, then half the size. Every width is remembered for the decoder.
        self.encoder = nn.ModuleList()
        skip_widths, width = [base], base
        for level in levels:
            for _ in range(depth):
                self.encoder.append(UNetBlock(parameters, width, widths[level], attention=attended[level]))
                width = widths[level]
                skip_widths.append(width)
            if level != levels[-1]:
                self.encoder.append(self.downsample(width))
                skip_widths.append(width)

        # Middle.
        self.middle = MiddleBlock(parameters)

        # Decoder: one more block per level. Each also takes the last remembered width; the last one doubles the size.
        self.decoder = nn.ModuleList()
        for level in reversed(levels):
            for index in range(depth + 1):
                last = index == depth and level > 0
                self.decoder.append(
                    UNetBlock(
                        parameters,
                        width + skip_widths.pop(),
                        widths[level],
                        attention=attended[level],
                        resample=self.upsample(widths[level]) if last else None,
                    )
                )
                width = widths[level]

        # Output.
        self.norm_out = nn.GroupNorm(parameters.norm_num_groups, width)
        self.conv_out = nn.Conv2d(width, parameters.out_channels, 3, padding=1)

    @property
    def blocks(self) -> list[UNetBlock]:
        """What :attr:`run_block` is called with, nearly all of the weights, in the order in which it computes."""
        return [block for block in (*self.encoder, self.middle, *self.decoder) if isinstance(block, UNetBlock)]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights, in which the network computes."""
        return self.conv_in.weight.dtype

    def empty_conditions(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What follows ``x`` and ``t`` in a pass that is only counted: tensors of the right shapes, without values."""
        raise NotImplementedError

    def check_latents(self, x: torch.Tensor) -> None:
        """Raise InputError unless ``x`` is ``[B, in_channels, F, h, w]`` and the levels can halve its size."""
        factor = self.config.downsampling_factor
        remainder = self.height_remainder % factor
        legal = x.ndim == 5 and x.shape[1] == self.config.in_channels
        if not legal or x.shape[3] % factor != remainder or x.shape[4] % factor:
            height = (
                f'h {remainder} more than a multiple of {factor} and w a multiple' if remainder else 'h and w multiples'
            )
            raise InputError(
                f'The UNet takes latents [B, {self.config.in_channels}, F, h, w] with {height} of {factor}, '
                f'found {list(x.shape)}.'
            )

    def trunk(
        self,
        x: torch.Tensor,
        embedding: torch.Tensor,
        context: torch.Tensor,
        extra: torch.Tensor | None = None,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        """``x`` ``[B, in, F, h, w]``, ``embedding`` ``[B, E]``, ``context`` ``[B, L, C]`` -> ``[B, out, F, h, w]``.

        ``extra`` ``[B, extra_channels, F, h, w]`` follows the latents on the channel axis. ``deep`` is filled, or if it
        is full, saves all blocks that it comes from.
        """
        self.check_latents(x)
        if extra is not None:
            x = torch.cat([x.to(self.dtype), extra.to(self.dtype)], dim=1)
        num_frames = x.shape[2]
        embedding = embedding.repeat_interleave(num_frames, dim=0)
        context = context.to(self.dtype)
        frames = rearrange(x.to(self.dtype), 'b c f h w -> (b f) c h w')
        # The last of these is the current one, the others are skip connections. Nothing else holds any of them.
        features = [self.temporal_in(self.conv_in(frames), num_frames)]
        del x, extra, frames
        inner = len(self.decoder) - (deep.outer_blocks if deep else 0)
        reused = deep.hidden if deep else None
        # The decoder's last blocks take the first features of the encoder.
        for block in self.encoder if reused is None else self.encoder[: len(self.decoder) - inner - 1]:
            if isinstance(block, UNetBlock):
                features.append(self._run(block, [features[-1]], embedding, context, num_frames))
            else:
                features.append(block(features[-1]))
        if reused is None:
            features.append(self._run(self.middle, [features[-1]], embedding, context, num_frames))
            for block in self.decoder[:inner]:
                features.append(self._run(block, [features.pop(), features.pop()], embedding, context, num_frames))
            if deep:
                deep.hidden = features[-1]
        else:
            features.append(reused)
        for block in self.decoder[inner:]:
            features.append(self._run(block, [features.pop(), features.pop()], embedding, context, num_frames))
        hidden = self.conv_out(silu(self.norm_out(features.pop())))
        out: torch.Tensor = rearrange(hidden, '(b f) c h w -> b c f h w', f=num_frames)
        return out

    def _run(self, block: nn.Module, features: list[torch.Tensor], *conditions: Any) -> torch.Tensor:
        if self.activation_checkpointing and self.training and torch.is_grad_enabled():
            recomputed: torch.Tensor = checkpoint(
                lambda *kept: block(list(kept), *conditions), *features, use_reentrant=False
            )
            return recomputed
        return self.run_block(block, features, *conditions)

    def _embed(self, positions: torch.Tensor, embedding: EmbeddingMLP) -> torch.Tensor:
        out: torch.Tensor = embedding(sinusoidal_embedding(positions, self.config.model_channels))
        return out
