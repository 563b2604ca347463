"""Stage 2 of the small models: it turns blurred, coarse videos of the world and their captions into sharp ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset

from demo_training.architecture import CLIP, VIDEO_TO_VIDEO_UNET
from demo_training.phases import train_in_phases
from demo_training.pools import Pool, encode_frames, kept_pool
from demo_training.world import make_clip
from modelscope_i2v.diffusion import logsnr_cosine_interp_schedule
from modelscope_i2v.generation.prompt_tokens import build_tokenizer
from modelscope_i2v.networks import AutoencoderKL, ClipTextEncoder, VideoToVideoUNet
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.objective import Objective

CLIPS = 1200
FRAMES = 8
SIDE = 128
PICTURES_AT_A_TIME, VIDEOS_AT_A_TIME = 16, 3
PICTURES = LoopSettings(
    steps=2100,
    learning_rate=1e-3,
    schedule='cosine',
    warmup_steps=100,
    ema_decay=0.998,
    precision='bf16',
    log_every=50,
)
VIDEOS = dataclasses.replace(PICTURES, steps=650, learning_rate=6e-4)
#: The range of levels from which sources are denoised in training; the model's default lies in between.
NOISE_LEVELS = (5, 100)
#: Defaults of a call.
CALL = {
    'target_fps': 8,
    'max_frames': 16,
    'height': SIDE,
    'width': SIDE,
    'solver': 'dpmpp_2m',
    'steps': 2,
    'noise_level': 10,
    'guidance_scale': 1.0,
    'guidance_rescale': 0.0,
    'positive_prompt': '',
    'negative_prompt': '',
}


def degrade(frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Frames ``[F, 3, H, W]`` in [-1, 1] as a smaller or worse camera would have seen them, in the same size."""
    side = frames.shape[-1]
    small = round(side / rng.uniform(1.8, 8.5))
    shrunk = F.interpolate(frames, size=(small, small), mode='bilinear', antialias=True)
    if rng.uniform() < 0.3:
        shrunk = shrunk + 0.03 * torch.from_numpy(rng.standard_normal(tuple(shrunk.shape), dtype=np.float32))
    mode = 'bilinear' if rng.uniform() < 0.7 else 'bicubic'
    return F.interpolate(shrunk, size=(side, side), mode=mode).clamp(-1, 1)


def encode_pool(folder: Path, autoencoder: AutoencoderKL, tower: ClipTextEncoder, seeds: range) -> Pool:
    """Latents ``mean``, ``source [N, 4, F, h, w]`` and text features ``condition [N, L, C]``; kept in ``folder``."""
    tokenizer, device = build_tokenizer(CLIP['text_cfg']['context_length']), next(tower.parameters()).device

    def encode(seed: int) -> Pool:
        clip = make_clip(seed, num_frames=FRAMES, size=SIDE)
        frames = to_pixels(clip.frames)
        return {
            'mean': encode_frames(autoencoder, frames),
            'source': encode_frames(autoencoder, degrade(frames, np.random.default_rng((7, seed)))),
            'condition': tower(tokenizer([clip.text]).to(device))[0].half().cpu(),
        }

    return kept_pool(folder, seeds, encode, autoencoder, tower)


class SourceBatches(Dataset[dict[str, torch.Tensor]]):
    """Batches of clips with their sources.

    Args:
        videos: clips in a batch. Every eighth batch has single frames instead; with 0, every batch does.
    """

    def __init__(self, pool: Pool, videos: int) -> None:
        self._pool = pool
        self._videos = videos

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((8, number))
        pictures = self._videos == 0 or number % 8 == 7
        clips = rng.choice(
            len(self._pool['mean']), size=PICTURES_AT_A_TIME if pictures else self._videos, replace=False
        )
        first = int(rng.integers(FRAMES)) if pictures else 0
        frames = slice(first, first + 1 if pictures else None)
        mean, source = (self._pool[name][clips][:, :, frames].float() for name in ('mean', 'source'))
        return {
            'mean': mean,
            'logvar': torch.full_like(mean, -30.0),
            'source': source,
            'condition': self._pool['condition'][clips].float(),
            'fps': torch.full((len(clips),), 8.0),
        }


@torch.no_grad()
def objective(tower: ClipTextEncoder, scale_factor: float) -> Objective:
    """The objective of stage 2. The features of an empty text stand for 'no condition'."""
    tokens = build_tokenizer(CLIP['text_cfg']['context_length'])([''])
    empty = tower(tokens.to(next(tower.parameters()).device))[0].cpu()
    return Objective(
        schedule=logsnr_cosine_interp_schedule(),
        unconditional=empty,
        scale_factor=scale_factor,
        takes_fps=False,
        noise_levels=NOISE_LEVELS,
    )


def new_unet(seed: int = 0) -> VideoToVideoUNet:
    return seeded(lambda: VideoToVideoUNet(**VIDEO_TO_VIDEO_UNET), seed + 3)


def train(
    unet: VideoToVideoUNet,
    pool: Pool,
    loss: Objective,
    folder: Path,
    pictures: LoopSettings = PICTURES,
    videos: LoopSettings = VIDEOS,
    made_from: str = '',
) -> None:
    """Train a new ``unet`` on single frames of the pool, then on videos and, in one batch of eight, on frames."""
    batches = [SourceBatches(pool, count) for count in (0, VIDEOS_AT_A_TIME)]
    train_in_phases(unet, loss, (batches[0], pictures), (batches[1], videos), folder, made_from)
