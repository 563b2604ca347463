"""Batches of pictures that were drawn before."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset


class Shuffled(Dataset[torch.Tensor]):
    """Batches ``[size, 3, H, W]`` of ``pictures`` ``[N, 3, H, W]`` in [-1, 1], in a random order."""

    def __init__(self, pictures: torch.Tensor, size: int, seed: int) -> None:
        self._pictures, self._size, self._seed = pictures, size, seed

    def __getitem__(self, number: int) -> torch.Tensor:
        rng = np.random.default_rng((11, self._seed, number))
        chosen = rng.choice(len(self._pictures), size=min(self._size, len(self._pictures)), replace=False)
        return self._pictures[torch.from_numpy(chosen)].contiguous(memory_format=torch.channels_last)
