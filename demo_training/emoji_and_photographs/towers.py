"""A small CLIP: an image tower that knows emoji by name, and a text tower that knows names and moves.

Pictures and captions of a batch are told apart by each other (Radford et al. 2021, arXiv 2103.00020). Pictures do not
say how they will move, so the text is also asked for the move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from demo_training.emoji_and_photographs.architecture import CLIP
from demo_training.emoji_and_photographs.captions import MOVES, caption
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.scenes import draw_scene, subject_of
from demo_training.emoji_and_photographs.world import render
from demo_training.made_from import MADE_FROM
from modelscope_i2v.generation.prompt_tokens import build_tokenizer
from modelscope_i2v.media.images.conditioning import central_square, normalised
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, ClipEncoders
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

SETTINGS = LoopSettings(
    steps=1500,
    learning_rate=1e-3,
    schedule='cosine',
    weight_decay=0.02,
    ema_decay=0.995,
    checkpoint_seconds=120,
    validate_every=500,
    log_every=50,
)
BATCH, POOL = 48, 6000
#: The weight of the moves beside the names.
MOVES_WEIGHT = 0.5
#: No move is asked for by a text without one.
NO_MOVE = len(MOVES)
#: How often a text is only a subject, without a move.
SUBJECT_ALONE = 0.15
#: The first seed of scenes that judge the towers.
JUDGING = 10_000_000


class Trainee(nn.Module):
    """Both towers and the heads that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.towers = ClipEncoders(CLIP)
        width, size = CLIP['text_cfg']['width'], CLIP['embed_dim']
        self.text_projection = nn.Linear(width, size)
        self.move = nn.Linear(width, len(MOVES) + 1)
        self.log_scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, pixels: torch.Tensor, names: torch.Tensor, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        texts, subjects = self.towers.text(tokens), self.towers.text(names)
        return {
            'image': self.towers.image(pixels),
            'name': self.text_projection(at_end(subjects, names)),
            'move': self.move(at_end(texts, tokens)),
            'scale': self.log_scale.clamp(max=4).exp(),
        }


def at_end(features: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The features ``[N, C]`` of the token that ends a text; it has the highest number."""
    return features[torch.arange(len(tokens)), tokens.argmax(dim=1)]


def seen_by_tower(frame: np.ndarray) -> torch.Tensor:
    """What the image tower sees of a frame ``[H, W, 3]``: uint8 ``[3, S, S]``."""
    square = central_square(Image.fromarray(frame), CLIP['vision_cfg']['image_size'])
    return torch.from_numpy(np.asarray(square).copy()).movedim(-1, 0)


def embed_images(towers: ClipEncoders, pixels: torch.Tensor) -> torch.Tensor:
    """uint8 ``[N, 3, S, S]`` -> embeddings ``[N, E]``."""
    out: torch.Tensor = towers.image(normalised(pixels.float() / 255, IMAGE_MEAN, IMAGE_STD))
    return out


class CaptionedPictures(Dataset[dict[str, torch.Tensor]]):
    """Batches of pictures with tokens of their subjects' names, of captions that ask for moves, and of those moves.

    Pictures are drawn once; captions and moves are new in every batch.
    """

    def __init__(self, data: Data, first: int, pool: int) -> None:
        scenes = [draw_scene(data, np.random.default_rng((4, seed))) for seed in range(first, first + pool)]
        self._subjects = [subject_of(data, scene) for scene in scenes]
        self._pixels = torch.stack([seen_by_tower(render(data, scene, 1).frames[0]) for scene in scenes])
        self._tokenizer = build_tokenizer(CLIP['text_cfg']['context_length'])
        self._first = first

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((5, self._first, number))
        chosen = rng.choice(len(self._subjects), size=min(BATCH, len(self._subjects)), replace=False)
        subjects = [self._subjects[index] for index in chosen]
        moves = rng.integers(len(MOVES), size=len(chosen))
        alone = rng.uniform(size=len(chosen)) < SUBJECT_ALONE
        texts = [
            subject if silent else caption(subject, MOVES[move], rng)
            for subject, move, silent in zip(subjects, moves, alone, strict=True)
        ]
        pixels = self._pixels[torch.from_numpy(chosen)]
        return {
            'pixels': normalised(pixels.float() / 255, IMAGE_MEAN, IMAGE_STD),
            'names': self._tokenizer(subjects),
            'tokens': self._tokenizer(texts),
            'moves': torch.from_numpy(np.where(alone, NO_MOVE, moves)),
        }


def towers_loss(model: nn.Module, batch: Mapping[str, torch.Tensor], _: torch.Generator) -> dict[str, torch.Tensor]:
    """Contrast of pictures and names, and cross-entropy of moves."""
    found = model(batch['pixels'], batch['names'], batch['tokens'])
    images, names = F.normalize(found['image'], dim=1), F.normalize(found['name'], dim=1)
    same = (batch['names'][:, None] == batch['names'][None]).all(dim=2).float()
    wanted = same / same.sum(dim=1, keepdim=True)
    logits = found['scale'] * images @ names.T
    contrast = (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
    moves = F.cross_entropy(found['move'], batch['moves'])
    right = same[torch.arange(len(same)), logits.argmax(dim=1)].mean()
    moved = (found['move'].argmax(dim=1) == batch['moves']).float().mean()
    return {'loss': contrast + MOVES_WEIGHT * moves, 'contrast': contrast, 'names_right': right, 'moves_right': moved}


def train_towers(
    data: Data,
    held_out: Data,
    folder: Path,
    settings: LoopSettings = SETTINGS,
    pool: int = POOL,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> ClipEncoders:
    """Both trained towers, from ``pool`` pictures. An interrupted training in ``folder`` is resumed."""
    model = seeded(Trainee, settings.seed)
    judged = CaptionedPictures(held_out, JUDGING, min(pool, 4 * BATCH))

    def validate(step: int, log: Any) -> dict[str, float]:
        with torch.no_grad():
            values = [towers_loss(model, judged[number], torch.Generator()) for number in range(4)]
        return {name: float(torch.stack([value[name] for value in values]).mean()) for name in values[0]}

    pictures = CaptionedPictures(data, 0, pool)
    fit(model, towers_loss, pictures, settings, folder, validate=validate, identity={MADE_FROM: made_from}, stop=stop)
    return model.towers


def towers_identity() -> tuple[Any, ...]:
    """What trained towers depend on, beside their data and the settings of the loop."""
    return CLIP, BATCH, MOVES_WEIGHT, SUBJECT_ALONE
