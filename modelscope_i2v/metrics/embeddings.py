"""Embeddings of frames, and how similar they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from modelscope_i2v.errors import InputError

#: ``[N, 3, H, W]`` in 0..1 -> ``[N, D]``.
Encoder = Callable[[torch.Tensor], torch.Tensor]

#: Number of frames encoded at a time.
_BATCH = 16


@torch.no_grad()
def embed(frames: torch.Tensor, encoder: Encoder) -> torch.Tensor:
    """``[F, 3, H, W]`` in 0..1 -> float32 embeddings ``[F, D]`` on the CPU, a few frames at a time.

    Raises:
        InputError: if the encoder does not return one vector per frame.
    """
    embeddings = torch.cat([encoder(batch).float().cpu() for batch in torch.split(frames, _BATCH)])
    if embeddings.ndim != 2 or len(embeddings) != len(frames):
        raise InputError(
            f'The encoder must return one vector per frame, [{len(frames)}, D], found {list(embeddings.shape)}.'
        )
    return embeddings


def cosine_similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Cosine of the angle between vectors, ``[F, D]`` (or ``[1, D]``) each -> ``[F]`` in -1..1; 0 for a zero vector."""
    return F.cosine_similarity(first, second, dim=1).clamp(-1, 1)
