"""The CLIP-style pair of the small models: an image tower that keeps the layout, and a text tower beside it.

A contrastive loss alone (Radford et al. 2021, arXiv 2103.00020) keeps what captions say, and captions do not say where
things are. Stage 1 has to redraw the picture from the embedding, so the embedding is also asked for the picture itself,
through the very projection to context tokens that the UNet starts with. Networks that redraw a picture begin with blobs
and stay there long, and the embedding with them, so it is also asked for the shape's name, silhouette and place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from demo_training.architecture import CLIP, IMAGE_TO_VIDEO_UNET
from demo_training.made_from import MADE_FROM
from demo_training.scenes.shapes import SHAPES
from demo_training.scenes.sprites import Sprite
from demo_training.world import FIRST_HELD_OUT_SEED, make_clip, sprite_of_clip
from modelscope_i2v.generation.prompt_tokens import build_tokenizer
from modelscope_i2v.media.images.conditioning import central_square, normalised
from modelscope_i2v.networks import ClipImageEncoder, ClipTextEncoder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD
from modelscope_i2v.networks.layers import EmbeddingMLP
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

SETTINGS = LoopSettings(
    steps=5000,
    learning_rate=1e-3,
    schedule='cosine',
    weight_decay=0.02,
    ema_decay=0.998,
    precision='bf16',
    log_every=50,
    validate_every=400,
)
BATCH = 128
POOL = 30_000
SIDE = CLIP['vision_cfg']['image_size']
TOKENS = IMAGE_TO_VIDEO_UNET['num_image_tokens']
#: Regions per side; one token each.
GRID = int(TOKENS**0.5)
#: A sprite's silhouette: pixels per side, and the side it covers, in units of which a picture has 64.
OUTLINE, EXTENT = 16, 40.0


def seen_pixels(frames: Iterable[np.ndarray]) -> torch.Tensor:
    """What the image tower sees of frames ``[H, W, 3]``: uint8 ``[N, 3, S, S]``."""
    squares = [np.asarray(central_square(Image.fromarray(frame), SIDE)) for frame in frames]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


def embed(tower: ClipImageEncoder, pixels: torch.Tensor) -> torch.Tensor:
    """``[N, 3, S, S]`` in 0..1 -> embeddings ``[N, E]``."""
    return tower(normalised(pixels, IMAGE_MEAN, IMAGE_STD))


class CaptionedPictures(Dataset[dict[str, torch.Tensor]]):
    """Batches of pictures of the world, with tokens of their captions and the numbers of their shapes (no sprite: -1).

    Three quarters of a batch are mirrored or get other colours, which captions do not describe: their ``described`` is
    False.
    """

    def __init__(self, first_seed: int, pool: int) -> None:
        tokenizer = build_tokenizer(CLIP['text_cfg']['context_length'])
        seeds = range(first_seed, first_seed + pool)
        clips = [make_clip(seed, num_frames=1) for seed in seeds]
        sprites = [sprite_of_clip(seed) for seed in seeds]
        self._pixels = seen_pixels(clip.frames[0] for clip in clips)
        self._tokens = torch.cat([tokenizer([clip.text]) for clip in clips])
        self._shapes = torch.tensor([-1 if s is None else list(SHAPES).index(s.shape) for s in sprites])
        self._outlines, self._places = (
            torch.from_numpy(np.stack(each)) for each in zip(*map(_outline, sprites), strict=True)
        )

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        a_epoch = len(self._pixels) // BATCH
        order = np.random.default_rng((3, number // a_epoch)).permutation(len(self._pixels))
        chosen = torch.from_numpy(order[number % a_epoch * BATCH :][:BATCH])
        pixels, described = self._pixels[chosen].float() / 255, torch.ones(BATCH, dtype=torch.bool)
        outlines, places = self._outlines[chosen].float() / 255, self._places[chosen]
        rng = np.random.default_rng((4, number))
        for part in range(1, 4):
            rows = slice(part * BATCH // 4, (part + 1) * BATCH // 4)
            changed = pixels[rows][:, rng.permutation(3).tolist()]
            if rng.uniform() < 0.5:
                changed, outlines[rows] = changed.flip(-1), outlines[rows].flip(-1)
                places[rows, 0] *= -1
            pixels[rows] = (changed * rng.uniform(0.8, 1.2)).clamp(0, 1)
            described[rows] = False
        return {
            'pixels': pixels,
            'tokens': self._tokens[chosen],
            'shapes': self._shapes[chosen],
            'outlines': outlines,
            'places': places,
            'described': described & (self._shapes[chosen] >= 0),
        }


class Redrawing(nn.Sequential):
    """Context tokens, taken as a grid of regions ``[N, C, g, g]``, -> the picture ``[N, 3, 16 g, 16 g]``."""

    def __init__(self, channels: int) -> None:
        def conv(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.SiLU())

        super().__init__(
            conv(channels, 128),
            conv(128, 128),
            nn.Upsample(scale_factor=2),
            conv(128, 96),
            conv(96, 96),
            nn.Upsample(scale_factor=2),
            conv(96, 64),
            conv(64, 64),
            nn.Conv2d(64, 3 * 4 * 4, 3, padding=1),
            nn.PixelShuffle(4),
        )


class Trainee(nn.Module):
    """Both towers and the heads that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        unet, width = IMAGE_TO_VIDEO_UNET, CLIP['text_cfg']['width']
        self.image = ClipImageEncoder(CLIP)
        self.text = ClipTextEncoder(CLIP)
        self.projection = EmbeddingMLP(CLIP['embed_dim'], 4 * unet['model_channels'], TOKENS * unet['context_dim'])
        self.redrawing = Redrawing(unet['context_dim'])
        self.shape = nn.Linear(CLIP['embed_dim'], len(SHAPES))
        self.outline = nn.Linear(CLIP['embed_dim'], OUTLINE**2)
        self.place = nn.Linear(CLIP['embed_dim'], 2)
        self.text_projection = nn.Linear(width, CLIP['embed_dim'])
        self.log_scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        embedding = embed(self.image, pixels)
        context = rearrange(self.projection(embedding), 'n (gy gx c) -> n c gy gx', gy=GRID, gx=GRID)
        features = self.text(tokens)
        ends = features[torch.arange(len(tokens)), tokens.argmax(dim=1)]
        return {
            'embedding': embedding,
            'picture': self.redrawing(context),
            'shape': self.shape(embedding),
            'outline': self.outline(embedding).unflatten(1, (OUTLINE, OUTLINE)),
            'place': self.place(embedding),
            'text': self.text_projection(ends),
            'log_scale': self.log_scale,
        }


def pair_loss(model: nn.Module, batch: dict[str, Any], generator: torch.Generator) -> Mapping[str, torch.Tensor]:
    """Losses for redrawing the picture, for shape, silhouette and place of the sprite, and for caption contrast."""
    described = batch['described']
    tokens = batch['tokens'][described]
    found = model(batch['pixels'], tokens)
    error = found['picture'] - (2 * batch['pixels'] - 1)
    squared = error.square().mean()
    sprites = batch['shapes'] >= 0
    naming = F.cross_entropy(found['shape'][sprites], batch['shapes'][sprites])
    outline = F.binary_cross_entropy_with_logits(found['outline'][sprites], batch['outlines'][sprites])
    place = (found['place'][sprites] - batch['places'][sprites]).square().mean()
    images, texts = F.normalize(found['embedding'][described], dim=1), F.normalize(found['text'], dim=1)
    scale = found['log_scale'].clamp(max=4).exp()
    same = (tokens[:, None] == tokens[None]).all(dim=2).float()
    wanted = same / same.sum(dim=1, keepdim=True)
    logits = scale * images @ texts.T
    contrast = (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
    correct = (found['shape'][sprites].argmax(dim=1) == batch['shapes'][sprites]).float().mean()
    loss = error.abs().mean() + 4 * squared + 0.3 * naming + outline + place + 0.05 * contrast
    return {
        'loss': loss,
        'psnr': 10 * torch.log10(4 / squared),
        'accuracy': correct,
        'outline': outline,
        'place': place,
        'contrast': contrast,
    }


def train_pair(folder: Path, settings: LoopSettings = SETTINGS, pool: int = POOL, made_from: str = '') -> Trainee:
    """Both trained towers with their heads, from ``pool`` pictures.

    An interrupted training in ``folder`` is resumed if it has the same ``made_from``, see
    :func:`~modelscope_i2v.training.fingerprint.fingerprint`.
    """
    model = seeded(Trainee, settings.seed + 1)
    held_out = CaptionedPictures(FIRST_HELD_OUT_SEED, 4 * BATCH)

    def validate(step: int, log: TrainingLog | None) -> dict[str, float]:
        with torch.no_grad():
            device = next(model.parameters()).device
            batches = [
                pair_loss(model, {name: part.to(device) for name, part in held_out[number].items()}, torch.Generator())
                for number in range(4)
            ]
        return {name: float(torch.stack([values[name] for values in batches]).mean()) for name in batches[0]}

    pictures, identity = CaptionedPictures(0, pool), {MADE_FROM: made_from}
    return fit(model, pair_loss, pictures, settings, folder, validate=validate, identity=identity)  # type: ignore[return-value]


def _outline(sprite: Sprite | None) -> tuple[np.ndarray, np.ndarray]:
    """Silhouette, uint8 ``[OUTLINE, OUTLINE]``, and place, ``[2]`` in -1..1; zeros if there is no sprite."""
    if sprite is None:
        return np.zeros((OUTLINE, OUTLINE), np.uint8), np.zeros(2, np.float32)
    centre = sprite.positions(np.zeros(1))[0]
    return (
        (255 * sprite.silhouette(OUTLINE, EXTENT)).round().astype(np.uint8),
        (centre / (SIDE / 2) - 1).astype(np.float32),
    )
