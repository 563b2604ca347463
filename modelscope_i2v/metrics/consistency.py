"""Whether a video keeps showing the same thing."""

from __future__ import annotations

import torch

from modelscope_i2v.metrics.embeddings import Encoder, cosine_similarity, embed
from modelscope_i2v.metrics.frames import Frames, as_frames, at_least


def temporal_consistency(frames: Frames, encoder: Encoder) -> float:
    """Mean of ``cos(e(frame[i]), e(frame[i + 1]))``, -1..1.

    A frozen clip scores 1, so read it together with :func:`~modelscope_i2v.metrics.motion.motion`.

    Raises:
        InputError: for fewer than 2 frames.
    """
    clip = at_least(as_frames(frames), 2, 'Temporal consistency')
    return float(neighbour_cosines(embed(clip, encoder)).mean())


def neighbour_cosines(embeddings: torch.Tensor) -> torch.Tensor:
    """``[F, D]`` -> cosine between each embedding and the next one, ``[F - 1]``."""
    return cosine_similarity(embeddings[:-1], embeddings[1:])
