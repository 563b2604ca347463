"""Multi-head attention with interchangeable back ends.

Every back end computes ``softmax(q k^T / sqrt(d)) v`` (Vaswani et al. 2017, equation 1); they differ in speed, memory
and the devices they run on. The choice is an attribute of each :class:`Attention`, set with
:func:`set_attention_backend`; there is no global switch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.terms import BACKENDS

#: CUDA grids have at most 65535 blocks along the axis that the fused kernels use for batch times heads; temporal
#: attention at 1280x720 has 14400 * 8 = 115200.
MAX_BATCHED_HEADS = 65535


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, backend: str = 'sdpa') -> torch.Tensor:
    """Attend from ``query`` ``[B, heads, N, d]`` to ``key`` and ``value`` ``[B, heads, M, d]``: ``[B, heads, N, d]``.

    Raises:
        ConfigurationError: for a back end that is not in :data:`~modelscope_i2v.terms.BACKENDS`.
    """
    batch, heads = query.shape[:2]
    rows = max(1, MAX_BATCHED_HEADS // heads)
    if query.is_cuda and batch > rows:
        parts = zip(*(torch.split(part, rows) for part in (query, key, value)), strict=True)
        return torch.cat([attention(q, k, v, backend) for q, k, v in parts])
    if backend == 'sdpa':
        return F.scaled_dot_product_attention(query, key, value)
    if backend == 'math':
        weights = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
        weighted: torch.Tensor = weights.softmax(dim=-1) @ value
        return weighted
    if backend == 'xformers':
        from xformers.ops import memory_efficient_attention  # optional, so imported where it is used

        query, key, value = (rearrange(x, 'b h n d -> b n h d') for x in (query, key, value))
        attended: torch.Tensor = rearrange(memory_efficient_attention(query, key, value), 'b n h d -> b h n d')
        return attended
    raise ConfigurationError(f'Unknown attention back end {backend!r}; it must be one of {", ".join(BACKENDS)}.')


class AttentionLayer(nn.Module):
    """Base of the attention layers; ``backend`` selects one of :data:`~modelscope_i2v.terms.BACKENDS`."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = 'sdpa'


class Attention(AttentionLayer):
    """Multi-head attention of ``x`` ``[B, N, query_dim]`` to ``context`` ``[B, M, context_dim]`` (None: to ``x``).

    The projections to queries, keys and values have no bias; the output projection has one.
    """

    def __init__(self, query_dim: int, num_heads: int, num_head_channels: int, context_dim: int | None = None) -> None:
        super().__init__()
        inner_dim = num_heads * num_head_channels
        self.num_heads = num_heads
        self.to_q = nn.Linear(query_dim, inner_dim, bias=False)
        self.to_k = nn.Linear(context_dim or query_dim, inner_dim, bias=False)
        self.to_v = nn.Linear(context_dim or query_dim, inner_dim, bias=False)
        self.to_out = nn.Linear(inner_dim, query_dim)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        context = x if context is None else context
        query, key, value = (
            rearrange(projected, 'b n (h d) -> b h n d', h=self.num_heads)
            for projected in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        out: torch.Tensor = self.to_out(rearrange(attention(query, key, value, self.backend), 'b h n d -> b n (h d)'))
        return out


def set_attention_backend(module: nn.Module, backend: str) -> None:
    """Use ``backend`` in every attention layer inside ``module``.

    Raises:
        ConfigurationError: for a back end that is not in :data:`~modelscope_i2v.terms.BACKENDS`.
    """
    if backend not in BACKENDS:
        raise ConfigurationError(f'Unknown attention back end {backend!r}; it must be one of {", ".join(BACKENDS)}.')
    for child in module.modules():
        if isinstance(child, AttentionLayer):
            child.backend = backend
