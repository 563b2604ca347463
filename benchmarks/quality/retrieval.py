"""Does a video belong to its own picture? Retrieval by colours alone, and by colours in their places."""

from __future__ import annotations

import torch
from torch.nn import functional

from benchmarks.judging.retrieval import retrieval

#: Levels of each channel in the colour histogram.
LEVELS = 4


def colour_histogram(videos: torch.Tensor) -> torch.Tensor:
    """``[N, 64]``: share of all pixels of all frames ``[N, F, 3, H, W]`` in each of 4x4x4 cells of the RGB cube."""
    levels = (videos * LEVELS).long().clamp(0, LEVELS - 1)
    cells = levels[:, :, 0] * LEVELS**2 + levels[:, :, 1] * LEVELS + levels[:, :, 2]
    return torch.stack([torch.bincount(own.flatten(), minlength=LEVELS**3) / own.numel() for own in cells])


def colour_layout(videos: torch.Tensor, blocks: int) -> torch.Tensor:
    """``[N, 3 * blocks^2]``: mean colour of each of blocks x blocks cells, mean over frames of ``[N, F, 3, H, W]``."""
    return functional.adaptive_avg_pool2d(videos.mean(dim=1), blocks).flatten(1)


def distances(pictures: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
    """``[pictures, videos]``: mean absolute difference of feature vectors."""
    return (pictures[:, None] - videos[None]).abs().mean(dim=2)


def judge_retrieval(pictures: torch.Tensor, videos: torch.Tensor) -> dict[str, float]:
    """Retrieval of the videos ``[N, F, 3, H, W]`` of ``pictures`` ``[N, 3, H, W]``, by all frames and by the first."""
    stills, first = pictures[:, None], videos[:, :1]
    histogram, layout = colour_histogram(stills), colour_layout(stills, 4)
    return {
        'retrieval, colour histogram': retrieval(distances(histogram, colour_histogram(videos))),
        'retrieval, 4x4 layout': retrieval(distances(layout, colour_layout(videos, 4))),
        'retrieval, first frame, 4x4 layout': retrieval(distances(layout, colour_layout(first, 4))),
    }
