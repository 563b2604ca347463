"""The CLIP-style pair of the embedded models: an image tower that keeps the layout, and a text tower beside it.

A contrastive loss alone (Radford et al. 2021, arXiv 2103.00020) keeps what captions say, and captions do not say where
things are. Stage 1 has to redraw the picture from the embedding, so the embedding is also asked for the picture itself,
region by region, through the very projection to context tokens that the UNet starts with, and for the shape's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from modelscope_i2v.media.conditioning import crop_square
from modelscope_i2v.networks import ClipImageEncoder, ClipTextEncoder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD
from modelscope_i2v.networks.layers import EmbeddingMLP
from modelscope_i2v.prompts import build_tokenizer
from modelscope_i2v.training.embedded.architecture import CLIP, IMAGE_TO_VIDEO_UNET
from modelscope_i2v.training.log import TrainingLog
from modelscope_i2v.training.loop import fit
from modelscope_i2v.training.scenes.shapes import SHAPES
from modelscope_i2v.training.settings import LoopSettings
from modelscope_i2v.training.world import FIRST_HELD_OUT_SEED, make_clip

SETTINGS = LoopSettings(
    steps=1800,
    learning_rate=1e-3,
    schedule='cosine',
    weight_decay=0.02,
    ema_decay=0.998,
    precision='bf16',
    log_every=50,
    validate_every=400,
)
BATCH = 128
POOL = 20_000
SIDE = CLIP['vision_cfg']['image_size']
TOKENS = IMAGE_TO_VIDEO_UNET['num_image_tokens']
#: Regions per side; one token each.
GRID = int(TOKENS**0.5)
#: Side in pixels of the picture that is asked back.
TARGET = 32


def seen_square(frame: np.ndarray) -> np.ndarray:
    """What the image tower sees of ``frame`` ``[H, W, 3]``, before normalisation: uint8 ``[S, S, 3]``."""
    square = crop_square(Image.fromarray(frame), 2 * SIDE)
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """``[N, 3, S, S]`` in 0..1 -> the tower's input."""
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    return (pixels - mean) / std


class CaptionedPictures(Dataset[dict[str, torch.Tensor]]):
    """Batches of pictures of the world, with tokens of their captions and the numbers of their shapes (no sprite: -1).

    Three quarters of a batch are mirrored or get other colours, which captions do not describe: their ``described`` is
    False.
    """

    def __init__(self, first_seed: int, pool: int) -> None:
        tokenizer = build_tokenizer(CLIP['text_cfg']['context_length'])
        clips = [make_clip(first_seed + index, num_frames=1) for index in range(pool)]
        self._pixels = torch.from_numpy(np.stack([seen_square(clip.frames[0]) for clip in clips])).permute(0, 3, 1, 2)
        self._tokens = torch.cat([tokenizer([clip.text]) for clip in clips])
        self._shapes = torch.tensor([_shape_number(clip.text) for clip in clips])

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        a_epoch = len(self._pixels) // BATCH
        order = np.random.default_rng((3, number // a_epoch)).permutation(len(self._pixels))
        chosen = torch.from_numpy(order[number % a_epoch * BATCH :][:BATCH])
        pixels, described = self._pixels[chosen].float() / 255, torch.ones(BATCH, dtype=torch.bool)
        rng = np.random.default_rng((4, number))
        for part in range(1, 4):
            rows = slice(part * BATCH // 4, (part + 1) * BATCH // 4)
            changed = pixels[rows][:, rng.permutation(3).tolist()]
            changed = changed.flip(-1) if rng.uniform() < 0.5 else changed
            pixels[rows] = (changed * rng.uniform(0.8, 1.2)).clamp(0, 1)
            described[rows] = False
        return {
            'pixels': pixels,
            'tokens': self._tokens[chosen],
            'shapes': self._shapes[chosen],
            'described': described & (self._shapes[chosen] >= 0),
        }


class Trainee(nn.Module):
    """Both towers and the heads that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        unet, width = IMAGE_TO_VIDEO_UNET, CLIP['text_cfg']['width']
        self.image = ClipImageEncoder(CLIP)
        self.text = ClipTextEncoder(CLIP)
        self.projection = EmbeddingMLP(CLIP['embed_dim'], 4 * unet['model_channels'], TOKENS * unet['context_dim'])
        self.region = nn.Sequential(
            nn.Linear(unet['context_dim'], 256), nn.SiLU(), nn.Linear(256, 3 * (TARGET // GRID) ** 2)
        )
        self.shape = nn.Linear(CLIP['embed_dim'], len(SHAPES))
        self.text_projection = nn.Linear(width, CLIP['embed_dim'])
        self.log_scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        embedding = self.image(normalised(pixels))
        context = rearrange(self.projection(embedding), 'n (t c) -> n t c', t=TOKENS)
        picture = rearrange(
            self.region(context), 'n (gy gx) (c y x) -> n c (gy y) (gx x)', gy=GRID, c=3, y=TARGET // GRID
        )
        features = self.text(tokens)
        ends = features[torch.arange(len(tokens)), tokens.argmax(dim=1)]
        return {
            'embedding': embedding,
            'picture': picture,
            'shape': self.shape(embedding),
            'text': self.text_projection(ends),
            'log_scale': self.log_scale,
        }


def pair_loss(model: nn.Module, batch: dict[str, Any], generator: torch.Generator) -> Mapping[str, torch.Tensor]:
    """The picture asked back, the shape's name, and the contrast between pictures and captions."""
    described = batch['described']
    tokens = batch['tokens'][described]
    found = model(batch['pixels'], tokens)
    target = F.avg_pool2d(batch['pixels'], SIDE // TARGET) * 2 - 1
    error = found['picture'] - target
    squared = error.square().mean()
    sprites = batch['shapes'] >= 0
    naming = F.cross_entropy(found['shape'][sprites], batch['shapes'][sprites])
    images, texts = F.normalize(found['embedding'][described], dim=1), F.normalize(found['text'], dim=1)
    scale = found['log_scale'].clamp(max=4).exp()
    same = (tokens[:, None] == tokens[None]).all(dim=2).float()
    wanted = same / same.sum(dim=1, keepdim=True)
    logits = scale * images @ texts.T
    contrast = (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
    correct = (found['shape'][sprites].argmax(dim=1) == batch['shapes'][sprites]).float().mean()
    loss = error.abs().mean() + 4 * squared + 0.3 * naming + 0.05 * contrast
    return {'loss': loss, 'psnr': 10 * torch.log10(4 / squared), 'accuracy': correct, 'contrast': contrast}


def train_pair(folder: Path, settings: LoopSettings = SETTINGS, pool: int = POOL) -> Trainee:
    """Both trained towers with their heads, from ``pool`` pictures; an interrupted training in ``folder`` goes on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed + 1)
        model = Trainee()
    held_out = CaptionedPictures(FIRST_HELD_OUT_SEED, 4 * BATCH)

    def validate(step: int, log: TrainingLog) -> dict[str, float]:
        with torch.no_grad():
            device = next(model.parameters()).device
            batches = [
                pair_loss(model, {name: part.to(device) for name, part in held_out[number].items()}, torch.Generator())
                for number in range(4)
            ]
        return {name: float(torch.stack([values[name] for values in batches]).mean()) for name in batches[0]}

    return fit(model, pair_loss, CaptionedPictures(0, pool), settings, folder, validate=validate)  # type: ignore[return-value]


def _shape_number(caption: str) -> int:
    words = caption.split()
    return list(SHAPES).index(words[2]) if len(words) > 2 and words[2] in SHAPES else -1
