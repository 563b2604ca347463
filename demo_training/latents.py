"""Training data of stage 1: clips of the world as latents, and batches of pieces of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from demo_training.clip import embed, seen_pixels
from demo_training.pools import Pool, encode_frames, kept_pool
from demo_training.world import BASE_FPS, make_clip
from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder
from modelscope_i2v.training.data.clips import Clip, to_pixels

#: One image embedding is kept per this many frames.
STRIDE = 2
#: The share of clips at half or twice the usual frame rate.
OTHER_FPS = 0.1


def draw_clip(seed: int, num_frames: int) -> Clip:
    """The clip of a training seed, now and then at another frame rate."""
    rng = np.random.default_rng((5, seed))
    fps = float(rng.choice([BASE_FPS / 2, BASE_FPS * 2])) if rng.uniform() < OTHER_FPS else BASE_FPS
    return make_clip(seed, num_frames=num_frames, fps=fps)


def encode_pool(
    folder: Path, autoencoder: AutoencoderKL, tower: ClipImageEncoder, seeds: range, num_frames: int
) -> Pool:
    """Latents ``mean [N, 4, F, h, w]``, image embeddings ``[N, F / STRIDE, E]`` and ``fps [N]``; kept in ``folder``."""
    device = next(tower.parameters()).device

    def encode(seed: int) -> Pool:
        clip = draw_clip(seed, num_frames)
        pixels = seen_pixels(clip.frames[::STRIDE]).float() / 255
        return {
            'mean': encode_frames(autoencoder, to_pixels(clip.frames)),
            'embedding': embed(tower, pixels.to(device)).half().cpu(),
            'fps': torch.tensor(clip.fps),
        }

    return kept_pool(folder, seeds, encode, num_frames, STRIDE, OTHER_FPS, autoencoder, tower)


@dataclass(frozen=True)
class PoolBatches(Dataset[dict[str, torch.Tensor]]):
    """Batches of pieces of the clips of a pool; a piece is conditioned on its own first frame.

    Attributes:
        pool: see :func:`encode_pool`.
        videos, num_frames: pieces in a batch of videos and their length, which may be less than that of the clips.
        images: frames in a batch of pictures; every eighth batch is one (all are, if ``videos`` is 0).
    """

    pool: Pool
    videos: int
    num_frames: int
    images: int

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((6, number))
        pictures = self.videos == 0 or number % 8 == 7
        count, length = (self.images, 1) if pictures else (self.videos, self.num_frames)
        available, _, frames = self.pool['mean'].shape[:3]
        clips = rng.choice(available, size=count, replace=False)
        starts = STRIDE * rng.integers(0, (frames - length) // STRIDE + 1, size=count)
        pieces = [
            (self.pool['mean'][clip, :, start : start + length], self.pool['embedding'][clip, start // STRIDE])
            for clip, start in zip(clips.tolist(), starts.tolist(), strict=True)
        ]
        mean = torch.stack([piece for piece, _ in pieces]).float()
        return {
            'mean': mean,
            'logvar': torch.full_like(mean, -30.0),
            'condition': torch.stack([embedding for _, embedding in pieces]).float().unsqueeze(1),
            'fps': self.pool['fps'][clips],
        }
