"""Adapt the image tower to photographs: sharp ones get the embedding of their blurred copies, nothing else changes.

The world has sharp outlines but no fine texture. A tower trained only on it sees colours in a photograph that are not
there. It does see blurred photographs correctly, because they look like the world's colour layouts.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import Dataset

from demo_training.clip import SIDE, embed, seen_pixels
from demo_training.made_from import MADE_FROM
from demo_training.scenes.layouts import field, photograph
from demo_training.world import make_clip
from modelscope_i2v.networks import ClipImageEncoder
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.settings import LoopSettings

SETTINGS = LoopSettings(
    steps=4000, learning_rate=4e-4, schedule='cosine', weight_decay=0.0, ema_decay=0.995, precision='bf16', log_every=50
)
#: Pictures of each kind: in a batch, and in the pool.
COUNT, POOL = 48, 16_000
#: Standard deviation of the blur, in pixels of what the tower sees.
BLUR = 3.2
#: Weight of keeping the embeddings of the world unchanged.
WORLD_WEIGHT = 3.0


class Photographs(Dataset[dict[str, torch.Tensor]]):
    """Batches of pictures of the world (``known``) and of photographs, ``sharp`` and ``blurred``: ``[N, 3, S, S]``."""

    def __init__(self, pool: int) -> None:
        drawn = [_textured(np.random.default_rng((12, index))) for index in range(pool)]
        self._known = seen_pixels(make_clip(seed, num_frames=1).frames[0] for seed in range(pool))
        self._sharp = seen_pixels(np.asarray(image) for image in drawn)
        self._blurred = seen_pixels(np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR))) for image in drawn)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((13, number))
        known, textured = (torch.from_numpy(rng.permutation(len(self._known))[:COUNT]) for _ in range(2))
        chosen = {'known': self._known[known], 'sharp': self._sharp[textured], 'blurred': self._blurred[textured]}
        return {name: pixels.float() / 255 for name, pixels in chosen.items()}


def _textured(rng: np.random.Generator) -> Image.Image:
    """A sharp picture in the size that the tower sees: a photograph, clutter, or smooth colours under a pattern."""
    kind = rng.uniform()
    if kind < 0.4:
        return photograph(rng, SIDE)
    return _dead_leaves(rng) if kind < 0.7 else _patterned(rng)


def _dead_leaves(rng: np.random.Generator) -> Image.Image:
    """Overlapping opaque shapes whose sizes are distributed as in nature (Lee, Mumford and Huang 2001)."""
    image = field(rng, 2 * SIDE)
    palette = np.asarray(field(rng, SIDE)).reshape(-1, 3)
    draw = ImageDraw.Draw(image)
    smallest, largest = 1.5, rng.uniform(12, 60)
    for _ in range(rng.integers(40, 400)):
        # A density of r^-3 between the two.
        radius = (smallest**-2 - rng.uniform() * (smallest**-2 - largest**-2)) ** -0.5
        x, y = rng.uniform(0, 2 * SIDE, size=2)
        height = radius * rng.uniform(0.3, 1)
        shade = rng.uniform(0.5, 1.2)
        colour = tuple(int(min(255, value * shade)) for value in palette[rng.integers(len(palette))])
        outline = draw.ellipse if rng.uniform() < 0.6 else draw.rectangle
        outline((x - radius, y - height, x + radius, y + height), fill=colour)
    return image.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR).crop(
        (SIDE // 2, SIDE // 2, SIDE // 2 + SIDE, SIDE // 2 + SIDE)
    )


def _patterned(rng: np.random.Generator) -> Image.Image:
    """Stripes, checks, dots or grain, stronger in some places than in others."""
    image = np.asarray(field(rng, SIDE), np.float32) / 255
    place = np.asarray(field(rng, SIDE).convert('L'), np.float32)[..., None] / 255
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    period, angle = rng.uniform(3, 16), rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius = np.hypot((u % period) - period / 2, (v % period) - period / 2)
    patterns = (
        np.sign(np.sin(2 * np.pi * u / period)),
        np.sign(np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period)),
        np.where(radius < rng.uniform(0.25, 0.45) * period, 1.0, -1.0),
        rng.standard_normal((SIDE, SIDE)),
    )
    strength = rng.uniform(0.05, 0.6) * rng.uniform(0.5, 1, size=3)
    pattern = patterns[rng.integers(len(patterns))][..., None]
    textured = image + (strength * place * pattern).astype(np.float32)
    return Image.fromarray((255 * textured.clip(0, 1)).round().astype(np.uint8))


class Adaptation(nn.Module):
    """The tower in training, and a frozen copy from before."""

    def __init__(self, tower: ClipImageEncoder) -> None:
        super().__init__()
        self.before = copy.deepcopy(tower).requires_grad_(False)
        self.tower = tower

    def train(self, mode: bool = True) -> Adaptation:
        """Stay in evaluation mode, because photographs would shift the statistics of the batch normalisation."""
        return super().train(False)

    def forward(
        self, known: torch.Tensor, sharp: torch.Tensor, blurred: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings ``[2 N, E]`` of the world's and the sharp pictures, and their targets."""
        with torch.no_grad():
            wanted = embed(self.before, torch.cat([known, blurred]))
        return embed(self.tower, torch.cat([known, sharp])), wanted


def adaptation_loss(
    model: nn.Module, batch: Mapping[str, torch.Tensor], generator: torch.Generator
) -> Mapping[str, torch.Tensor]:
    """Squared errors of the embeddings, relative to their size."""
    found, wanted = model(batch['known'], batch['sharp'], batch['blurred'])
    known, sharp = ((found - wanted).square().mean(dim=1) / wanted.square().mean()).chunk(2)
    return {'loss': WORLD_WEIGHT * known.mean() + sharp.mean(), 'known': known.mean(), 'sharp': sharp.mean()}


def adapt_tower(
    tower: ClipImageEncoder, folder: Path, settings: LoopSettings = SETTINGS, pool: int = POOL, made_from: str = ''
) -> ClipImageEncoder:
    """Train ``tower`` itself.

    An interrupted training in ``folder`` is resumed if it has the same ``made_from``, see
    :func:`~modelscope_i2v.training.fingerprint.fingerprint`.
    """
    model = Adaptation(tower.requires_grad_(True))
    fit(model, adaptation_loss, Photographs(pool), settings, folder, identity={MADE_FROM: made_from})
    return tower
