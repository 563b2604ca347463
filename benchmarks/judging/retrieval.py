"""Whose is it? Retrieval of a picture's own video, or of a video's own picture, among others."""

from __future__ import annotations

import math

import torch

#: How many there are to choose from.
GROUP = 32


def retrieval(distances: torch.Tensor, group: int = GROUP) -> float:
    """Share of rows of ``distances`` ``[N, N]`` whose own column is the nearest of ``group``; ties lose.

    Mean over consecutive whole groups, or one smaller group if there are fewer.
    """
    group = min(group, len(distances))
    if group < 2:
        return math.nan  # no other one to take it for
    hits = []
    for start in range(0, len(distances) - group + 1, group):
        own = slice(start, start + group)
        matrix = distances[own, own]
        others = matrix.clone().fill_diagonal_(torch.inf).amin(dim=1)
        hits.append((matrix.diagonal() < others).float())
    return float(torch.cat(hits).mean())
