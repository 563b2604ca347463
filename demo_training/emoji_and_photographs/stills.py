"""Pictures for the autoencoder: parts of photographs, and emoji in front of photographs and of smooth colours.

Each is a pure function of its number. Pictures of a batch show different things, because frames of one clip are too
alike to learn from.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import avg_pool2d
from torch.utils.data import Dataset

from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.rendering import SIDE, camera, gradient, over, placement, view

#: What the pictures of a batch show, in turn.
KINDS = ('photograph', 'emoji over photograph', 'photograph', 'emoji over gradient')


def still(data: Data, number: int, kind: str) -> torch.Tensor:
    """Picture ``number`` of ``data``, float32 ``[3, 128, 128]`` in [-1, 1]."""
    rng = np.random.default_rng((1, number))
    background = gradient(torch.from_numpy(rng.uniform(size=(2, 3)).astype(np.float32)), rng.uniform(0, 2 * math.pi))
    background = background.unsqueeze(0)
    if kind != 'emoji over gradient':
        crop = torch.from_numpy(data.photographs.crops[rng.choice(data.crop_indices)]).movedim(-1, 0) / 255
        crop = crop.flip(-1) if rng.uniform() < 0.5 else crop
        scale = rng.uniform(0.35, 1)
        centre = rng.uniform(scale - 1, 1 - scale, size=2)
        background = view(crop.unsqueeze(0), camera(_row(centre), _row(scale), _row(rng.normal(0, 0.1))))
    if kind != 'photograph':
        index = int(rng.choice(data.emoji_indices))
        frame = data.emoji.clip(index, int(rng.integers(data.emoji.length(index))), 1)
        sprite = torch.from_numpy(frame).movedim(-1, 1) / 255
        sprite = sprite.flip(-1) if rng.uniform() < 0.5 else sprite
        scale = rng.uniform(0.35, 1.3)
        centre = rng.uniform(-0.9, 0.9, size=2) * max(1 - scale, 0.2)
        background = over(sprite, placement(_row(centre), _row(scale), _row(rng.normal(0, 0.2))), background)
    return 2 * background[0] - 1


class Stills(Dataset[torch.Tensor]):
    """Batches ``[size, 3, side, side]`` of pictures in [-1, 1].

    Args:
        size: pictures in a batch.
        side: 128, or half or a quarter of it. Small pictures are whole ones made smaller. Squares cut out of them are
            often of one colour, and the network's normalisation takes that away.
        first: the number of the first batch, so that phases of a training need not see the same pictures.
    """

    def __init__(self, data: Data, size: int = 8, side: int = SIDE, first: int = 0) -> None:
        self._data, self._size, self._side, self._first = data, size, side, first

    def __getitem__(self, number: int) -> torch.Tensor:
        start = (self._first + number) * self._size
        pictures = torch.stack(
            [still(self._data, start + place, KINDS[place % len(KINDS)]) for place in range(self._size)]
        )
        return avg_pool2d(pictures, SIDE // self._side).contiguous(memory_format=torch.channels_last)


def _row(value: float | np.ndarray) -> torch.Tensor:
    """A batch of one."""
    return torch.from_numpy(np.asarray(value, dtype=np.float32)[None])
