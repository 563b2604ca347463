"""Stage 1 on held-out pictures: generation, and the baselines for its videos."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from benchmarks.quality.held_out import SpriteClips, as_video, world_clips
from benchmarks.quality.judging import judge_motion, judge_sprites
from benchmarks.quality.retrieval import judge_retrieval
from benchmarks.quality.shape_classifier import ShapeClassifier, judge_shapes

#: Name of a column -> arguments of the call.
SAMPLINGS: dict[str, dict[str, Any]] = {
    'ddim 50': {'solver': 'ddim', 'steps': 50},
    'ddim 20': {'solver': 'ddim', 'steps': 20},
    'dpmpp_2m 15': {'solver': 'dpmpp_2m', 'steps': 15},
}
GUIDANCE_SCALE = 3.0


def note(text: str) -> None:
    """Print a line of progress to stderr, apart from the report."""
    print(text, file=sys.stderr, flush=True)


def generate(pipeline: Any, pictures: Iterable[Any], sampling: Mapping[str, Any], first_seed: int) -> torch.Tensor:
    """Videos ``[N, F, 3, H, W]`` in 0..1 of ``pictures`` (anything the pipeline accepts), the n-th with seed + n."""
    videos = []
    for index, picture in enumerate(pictures):
        result = pipeline(
            picture,
            **sampling,
            guidance_scale=GUIDANCE_SCALE,
            seed=first_seed + index,
            output_type='np',
            show_progress=False,
        )
        videos.append(as_video(result['output_video']))
        if (index + 1) % 16 == 0:
            note(f'  {index + 1} videos')
    return torch.stack(videos)


def reconstruct(autoencoder: torch.nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Frames ``[N, 3, H, W]`` in 0..1 through encoder (mean of the posterior) and decoder, clamped."""
    device = next(autoencoder.parameters()).device
    with torch.no_grad():
        parts = [
            autoencoder.decode(autoencoder.encode(part.to(device) * 2 - 1)[0]).cpu()
            for part in frames.split(max(1, 64 * 64 * 16 // frames[0, 0].numel()))
        ]
    return torch.cat(parts).mul(0.5).add(0.5).clamp(0, 1)


def psnr(videos: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """``10 log10(1 / mean squared error)`` in dB over each of ``[N, ...]`` in 0..1: ``[N]``; infinite if equal."""
    return -10 * torch.log10((videos - truth).square().flatten(1).mean(dim=1))


def judge_stage1(videos: torch.Tensor, truth: SpriteClips, classifier: ShapeClassifier | None) -> dict[str, float]:
    """All measures of the sprites' videos; without a classifier all except the shape."""
    if videos.shape != truth.clips.shape:
        raise ValueError(f'The videos are {list(videos.shape)}, the real clips {list(truth.clips.shape)}.')
    shapes = judge_shapes(classifier, videos, truth.shape) if classifier is not None else {}
    return {**judge_retrieval(truth.clips[:, 0], videos), **judge_sprites(videos, truth), **shapes}


def judge_scenes(
    pipeline: Any, kind: str, count: int, seed: int, sampling: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
    """Real clips, generated videos and measures for a ``kind`` of the project's world."""
    real = world_clips(kind, range(seed, seed + count), pipeline.model.configuration.max_frames)
    videos = generate(pipeline, real[:, 0], sampling, seed)
    return real, videos, {**judge_retrieval(real[:, 0], videos), **judge_motion(videos, real)}
