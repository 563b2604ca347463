"""The world as latents, drawn and encoded once: encoding takes longer than learning from the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import Dataset

from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder
from modelscope_i2v.training.clips import Clip, to_pixels
from modelscope_i2v.training.embedded.clip import normalised, seen_square
from modelscope_i2v.training.world import BASE_FPS, make_clip
from modelscope_i2v.weights.save import write_tensors

#: An image embedding is kept for every so many frames.
STRIDE = 2
#: How often a clip is seen at half or twice the usual frame rate.
OTHER_FPS = 0.1


def draw_clip(seed: int, num_frames: int) -> Clip:
    """The clip of a training seed, now and then at another frame rate."""
    rng = np.random.default_rng((5, seed))
    fps = float(rng.choice([BASE_FPS / 2, BASE_FPS * 2])) if rng.uniform() < OTHER_FPS else BASE_FPS
    return make_clip(seed, num_frames=num_frames, fps=fps)


@torch.no_grad()
def encode_pool(
    path: Path, autoencoder: AutoencoderKL, tower: ClipImageEncoder, *, clips: int, num_frames: int, first_seed: int
) -> dict[str, torch.Tensor]:
    """Latents ``mean [N, 4, F, h, w]``, image embeddings ``[N, F / STRIDE, E]`` and ``fps [N]``; kept in ``path``."""
    if path.exists():
        return load_file(path)
    device = next(autoencoder.parameters()).device
    means, embeddings, fps = [], [], []
    for seed in range(first_seed, first_seed + clips):
        clip = draw_clip(seed, num_frames)
        means.append(autoencoder.encode(to_pixels(clip.frames).to(device))[0].transpose(0, 1).half().cpu())
        squares = np.stack([seen_square(frame) for frame in clip.frames[::STRIDE]])
        pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
        embeddings.append(tower(normalised(pixels.to(device))).half().cpu())
        fps.append(clip.fps)
    pool = {'mean': torch.stack(means), 'embedding': torch.stack(embeddings), 'fps': torch.tensor(fps)}
    write_tensors(pool, path)
    return pool


@dataclass(frozen=True)
class PoolBatches(Dataset[dict[str, torch.Tensor]]):
    """Batches of pieces of the clips of a pool; a piece is conditioned on its own first frame.

    Attributes:
        pool: see :func:`encode_pool`.
        videos, num_frames: pieces in a batch of videos and their length, which may be less than the clips'.
        images: frames in a batch of pictures; every eighth batch is one (all are, if ``videos`` is 0).
    """

    pool: dict[str, torch.Tensor]
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
