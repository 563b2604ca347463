"""A tiny world: three emoji of a few frames and crops of twelve pictures, all drawn by us."""

import numpy as np
import pytest

from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.emoji import Emoji
from demo_training.emoji_and_photographs.photographs import Photographs


@pytest.fixture(scope='package')
def tiny():
    """Data in which everything may be trained on."""
    rng = np.random.default_rng(0)
    frames = np.zeros((9, 128, 128, 4), np.uint8)
    for number, frame in enumerate(frames):
        # A square that moves one pixel a frame, in the colour of its emoji.
        frame[40:90, 30 + number : 80 + number] = (80 * (number // 3), 255, 0, 255)
    emoji = Emoji(('1f431', '1f435', '1f44b'), (0, 3, 6, 9), frames)
    coarse = rng.integers(0, 256, size=(12, 16, 16, 3), dtype=np.uint8)
    crops = coarse.repeat(16, axis=1).repeat(16, axis=2)
    photographs = Photographs(tuple(f'picture {index:02}' for index in range(12)), crops)
    return Data(emoji, photographs, (0, 1, 2), tuple(range(12)))
