"""Building blocks of the UNets and of the autoencoder.

Between blocks, video features have the shape ``[(B F), C, h, w]``: frames are folded into the batch, so that spatial
layers need not know about time. Temporal layers get ``num_frames`` and unfold the frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from modelscope_i2v.networks.attention import Attention
from modelscope_i2v.networks.slicing import in_slices

#: Dropout of the residual and temporal-convolution blocks when training; inference never sees it.
DROPOUT = 0.1


def sinusoidal_embedding(positions: torch.Tensor, dim: int) -> torch.Tensor:
    """Embed ``positions`` ``[B]`` as ``[B, dim]`` float32: cosines, then sines (Vaswani et al. 2017, section 3.5).

    The frequencies are ``10000 ** (-i / (dim / 2))``. They are computed as a float32 power, not through exp and log:
    the checkpoints were trained with the former and the two differ by up to 6e-5.
    """
    half = dim // 2
    exponents = -torch.arange(half, device=positions.device, dtype=torch.float32).div(half)
    angles = torch.outer(positions.float(), torch.pow(10000, exponents))
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class EmbeddingMLP(nn.Module):
    """Linear, SiLU, linear: ``[B, in_dim] -> [B, out_dim]``."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_dim, hidden_dim)
        self.linear_2 = nn.Linear(hidden_dim, out_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear_2(F.silu(self.linear_1(x.to(self.linear_1.weight.dtype))))
        return out


def silu(x: torch.Tensor) -> torch.Tensor:
    """SiLU of an ``x`` that nobody else needs: in its own memory, unless autograd needs both."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with pre-activation; a timestep embedding ``[N, embed_dim]``, if any, is added in between.

    ``[N, in_channels, h, w] -> [N, out_channels, h, w]`` (He et al. 2016; Ho et al. 2020, appendix B).
    """

    def __init__(
        self, in_channels: int, out_channels: int, embed_dim: int | None = None, *, num_groups: int, eps: float
    ) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(num_groups, in_channels, eps=eps)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.embed_proj = None if embed_dim is None else nn.Linear(embed_dim, out_channels)
        self.norm_out = nn.GroupNorm(num_groups, out_channels, eps=eps)
        self.dropout = nn.Dropout(DROPOUT if embed_dim is not None else 0.0)
        self.conv_out = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor | None = None) -> torch.Tensor:
        hidden = self.conv_in(silu(self.norm_in(x)))
        if self.embed_proj is not None and embedding is not None:
            hidden = hidden + self.embed_proj(F.silu(embedding))[:, :, None, None]
        hidden = silu(self.norm_out(hidden))
        hidden = self.conv_out(self.dropout(hidden))
        out: torch.Tensor = self.shortcut(x) + hidden
        return out


class FrameConvolution(nn.Conv3d):
    """A ``Conv3d`` whose kernel ``[n, 1, 1]`` covers neighbouring frames of one pixel: ``[B, C, F, h, w]``.

    It computes a two-dimensional convolution over the frames and all pixels in a row, with the same weights. That is
    the same sum, for which CPUs have faster kernels. The last bits may differ.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.conv2d(x.flatten(3), self.weight.flatten(3), self.bias, padding=(int(self.padding[0]), 0))
        return out.reshape(*out.shape[:3], *x.shape[3:])


class TemporalConvolution(nn.Module):
    """GroupNorm over all frames, SiLU, then a convolution over three neighbouring frames."""

    def __init__(self, channels: int, *, num_groups: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, channels)
        self.dropout = nn.Dropout(dropout)
        self.conv = FrameConvolution(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(self.dropout(silu(self.norm(x))))
        return out


class SpatioTemporalResidualBlock(nn.Module):
    """A spatial :class:`ResidualBlock`, then four temporal convolutions with their own residual connection.

    It takes the features ``[(B F), C, h, w]`` in a list, with a skip connection or alone, and empties the list once it
    has used them: so no caller holds them in memory any longer.
    """

    def __init__(self, in_channels: int, out_channels: int, embed_dim: int, *, num_groups: int) -> None:
        super().__init__()
        self.spatial = ResidualBlock(in_channels, out_channels, embed_dim, num_groups=num_groups, eps=1e-5)
        self.temporal = nn.Sequential(
            *(
                TemporalConvolution(out_channels, num_groups=num_groups, dropout=DROPOUT if index else 0.0)
                for index in range(4)
            )
        )

    def forward(self, features: list[torch.Tensor], embedding: torch.Tensor, num_frames: int) -> torch.Tensor:
        x = in_slices(self._spatial, embedding, *features, dim=0)
        features.clear()
        video = rearrange(x, '(b f) c h w -> b c f h w', f=num_frames)
        out: torch.Tensor = rearrange(video + self.temporal(video), 'b c f h w -> (b f) c h w')
        return out

    def _spatial(self, embedding: torch.Tensor, *features: torch.Tensor) -> torch.Tensor:
        x = features[0] if len(features) == 1 else torch.cat(features, dim=1)
        out: torch.Tensor = self.spatial(x, embedding)
        return out


class FeedForward(nn.Module):
    """GEGLU (Shazeer 2020): ``W_2 (a * gelu(b))`` where ``a, b`` are the halves of ``W_1 x``; exact (erf) gelu."""

    def __init__(self, dim: int, mult: int = 4) -> None:
        super().__init__()
        self.proj_in = nn.Linear(dim, 2 * mult * dim)
        self.proj_out = nn.Linear(mult * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, gates = self.proj_in(x).chunk(2, dim=-1)
        out: torch.Tensor = self.proj_out(values * F.gelu(gates))
        return out


class TransformerBlock(nn.Module):
    """Self-attention, attention to the context (self-attention again if there is none) and GEGLU, all pre-norm."""

    def __init__(self, dim: int, num_heads: int, num_head_channels: int, context_dim: int | None = None) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(dim)
        self.attention_1 = Attention(dim, num_heads, num_head_channels)
        self.norm_2 = nn.LayerNorm(dim)
        self.attention_2 = Attention(dim, num_heads, num_head_channels, context_dim)
        self.norm_3 = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        x = x + self.attention_1(self.norm_1(x))
        query = self.norm_2(x)
        if context is None:
            x = x + self.attention_2(query)
        else:
            # Frames of one video share their context, so their tokens form one long query: nothing is repeated.
            tokens = rearrange(query, '(b f) n c -> b (f n) c', b=context.shape[0])
            x = x + self.attention_2(tokens, context).reshape(x.shape)
        out: torch.Tensor = x + self.feed_forward(self.norm_3(x))
        return out


class SpatialTransformer(nn.Module):
    """Pixels of one frame attend to each other and to the context ``[B, L, context_dim]``; residual."""

    def __init__(self, channels: int, num_head_channels: int, context_dim: int, *, num_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.block = TransformerBlock(channels, channels // num_head_channels, num_head_channels, context_dim)
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        videos = rearrange(x, '(b f) c h w -> b f c h w', b=context.shape[0])
        return in_slices(lambda frames: self._attend(frames, context), videos, dim=1).flatten(0, 1)

    def _attend(self, frames: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """``[B, F, C, h, w]`` -> the same shape; ``context`` has one entry per video."""
        tokens = self.proj_in(rearrange(self.norm(frames.flatten(0, 1)), 'n c h w -> n (h w) c'))
        tokens = self.proj_out(self.block(tokens, context))
        out: torch.Tensor = frames + rearrange(
            tokens, '(b f) (h w) c -> b f c h w', b=frames.shape[0], h=frames.shape[3]
        )
        return out


class TemporalTransformer(nn.Module):
    """The frames of one pixel attend to each other, twice; residual. Norms see all frames of a video at once."""

    def __init__(self, channels: int, num_heads: int, num_head_channels: int, *, num_groups: int) -> None:
        super().__init__()
        inner_dim = num_heads * num_head_channels
        self.norm = nn.GroupNorm(num_groups, channels, eps=1e-6)
        self.proj_in = nn.Conv1d(channels, inner_dim, 1)
        self.block = TransformerBlock(inner_dim, num_heads, num_head_channels)
        self.proj_out = nn.Conv1d(inner_dim, channels, 1)

    def forward(self, x: torch.Tensor, num_frames: int) -> torch.Tensor:
        video = rearrange(x, '(b f) c h w -> b f c h w', f=num_frames)
        normed = self.norm(video.transpose(1, 2)).transpose(1, 2)
        return in_slices(self._attend, video, normed, dim=3).flatten(0, 1)

    def _attend(self, rows: torch.Tensor, normed: torch.Tensor) -> torch.Tensor:
        """Rows of pixels ``[B, F, C, rows, w]``, and the same after the norm -> the same shape."""
        batch, height = rows.shape[0], rows.shape[3]
        pixels = self.proj_in(rearrange(normed, 'b f c h w -> (b h w) c f'))
        pixels = self.block(pixels.transpose(1, 2)).transpose(1, 2)
        out: torch.Tensor = rows + rearrange(self.proj_out(pixels), '(b h w) c f -> b f c h w', b=batch, h=height)
        return out
