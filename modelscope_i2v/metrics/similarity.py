"""How closely a video shows what its source shows."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics.embeddings import Encoder, cosine_similarity, embed
from modelscope_i2v.metrics.frames import Frames, as_frames


@dataclass(frozen=True)
class Similarity:
    """Cosines of embeddings, -1..1, 1 for equal directions: their mean, their minimum, and that of the first frame."""

    mean: float
    min: float
    first: float

    @classmethod
    def of(cls, cosines: torch.Tensor) -> Similarity:
        """From the cosine of every frame, ``[F]``."""
        return cls(float(cosines.mean()), float(cosines.min()), float(cosines[0]))


def image_video_similarity(image: Frames, frames: Frames, encoder: Encoder) -> Similarity:
    """``cos(e(image), e(frame))`` of every frame, -1..1: how closely the video shows its input picture.

    With CLIP's image tower as encoder ``e`` this is the frame-wise CLIP similarity (Radford et al. 2021, arXiv
    2103.00020). It says nothing about motion: the picture itself, frozen, scores 1.

    Args:
        image: one picture, ``[1, 3, H, W]`` in 0..1 or uint8 ``[1, H, W, 3]``, of any size.
        frames: the video; see :func:`~modelscope_i2v.metrics.frames.as_frames`.
    """
    picture = as_frames(image)
    if len(picture) != 1:
        raise InputError(f"'image' must be one picture, found {len(picture)}.")
    return Similarity.of(cosine_similarity(embed(picture, encoder), embed(as_frames(frames), encoder)))


def video_video_similarity(source: Frames, frames: Frames, encoder: Encoder) -> Similarity:
    """``cos(e(source[i]), e(frames[i]))``, -1..1: how closely a video still shows what its source shows.

    Frames are matched by their index; the rest of the longer video does not count. The sizes may differ.
    """
    before, after = as_frames(source), as_frames(frames)
    count = min(len(before), len(after))
    return Similarity.of(cosine_similarity(embed(before[:count], encoder), embed(after[:count], encoder)))
