"""Photographs: is a video's colour layout nearer to its own picture than to any other?

None of them was used for training. All ship with scikit-image (see ``demo_training/scenes/layouts.py``), the cat
also as ``examples/cat.jpg``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.quality.retrieval import colour_layout, distances
from demo_training.scenes.layouts import HELD_OUT_PICTURES, picture
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD

CAT = Path(__file__).parents[2] / 'examples' / 'cat.jpg'
BLOCKS = 8


def photographs() -> dict[str, Image.Image]:
    """Pictures by name, RGB."""
    with Image.open(CAT) as cat:
        return {'cat': cat.convert('RGB'), **{name: picture(name) for name in HELD_OUT_PICTURES}}


def seen_by_model(pipeline: Any, image: Image.Image) -> torch.Tensor:
    """``[3, S, S]`` in 0..1: the square of a picture that the preprocessor passes to the image tower."""
    pixels = pipeline.preprocessor(image)['pixel_values'][0]
    return pixels * torch.tensor(IMAGE_STD).view(3, 1, 1) + torch.tensor(IMAGE_MEAN).view(3, 1, 1)


def layout_distances(squares: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
    """``[videos, pictures]``: mean absolute difference (0..1) of 8x8-block colour layouts, videos as mean frames."""
    return distances(colour_layout(videos, BLOCKS), colour_layout(squares[:, None], BLOCKS))


def nearest_pictures(matrix: torch.Tensor, names: list[str]) -> dict[str, str]:
    """Which picture each video is nearest to."""
    return {name: names[int(nearest)] for name, nearest in zip(names, matrix.argmin(dim=1), strict=True)}


def judge_photographs(matrix: torch.Tensor) -> dict[str, float]:
    """Share of videos (rows) nearest to their own picture, their mean distance to it, and to the nearest other one."""
    own = matrix.diagonal()
    other = matrix.clone().fill_diagonal_(torch.inf).amin(dim=1)
    return {
        'own picture is nearest': float((own < other).float().mean()),
        'distance to own picture': float(own.mean()),
        'distance to nearest other': float(other.mean()),
    }
