"""A small convolutional network that tells the eight shapes apart, trained on real frames only.

It has never seen a generated frame, nor any clip used to evaluate a model. Its seeds start at :data:`FIRST_SEED`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from benchmarks.quality.held_out import SHAPE_NAMES
from modelscope_i2v.training.loop.seeding import seeded
from tests.data import embedded_world

FIRST_SEED = 2_000_000
#: Its own held-out frames.
TEST_SEED = 2_500_000
#: How many clips are drawn at a time, and how many frames of each are used.
CLIPS, FRAMES_OF_CLIP, CLIP_LENGTH = 512, 8, 16
#: Standard deviation (0..1) of noise on training frames, so that compression noise does not matter.
NOISE = 0.02
BATCH = 64
LEARNING_RATE = 4e-3


def real_frames(seed: int, clips: int = CLIPS, per_clip: int = FRAMES_OF_CLIP) -> tuple[torch.Tensor, torch.Tensor]:
    """Random frames ``[clips * per_clip, 3, 64, 64]`` in 0..1 of the specified world, and their shapes (int64)."""
    videos, known = embedded_world.sample(clips, seed, F=CLIP_LENGTH)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(clips, CLIP_LENGTH, generator=generator).argsort(dim=1)[:, :per_clip]
    frames = videos[torch.arange(clips)[:, None], chosen].flatten(0, 1).float() / 255
    return frames, known['shape'].repeat_interleave(per_clip)


class _GlobalPool(nn.Module):
    """``[N, C, h, w]`` -> ``[N, 2 C]``: where the sprite is does not matter."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)


def _network(classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in (
        (3, 16, 5, 2),
        (16, 32, 3, 2),
        (32, 48, 3, 1),
        (48, 96, 3, 2),
        (96, 96, 3, 1),
    ):
        layers += [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, _GlobalPool(), nn.Linear(192, classes))


@dataclass(frozen=True)
class ShapeClassifier:
    """The trained network.

    Attributes:
        network: ``[N, 3, 64, 64]`` -> logits ``[N, classes]``.
        accuracy: the accuracy on held-out real frames, 0..1.
    """

    network: nn.Module
    accuracy: float

    def shapes(self, frames: torch.Tensor) -> torch.Tensor:
        """Most likely shape of each frame ``[N, 3, 64, 64]``: int64 ``[N]``, indices into ``SHAPE_NAMES``."""
        with torch.no_grad():
            return torch.cat([self.network(part).argmax(dim=1) for part in frames.split(256)])


def train_shape_classifier(rounds: int = 6, epochs: int = 3) -> ShapeClassifier:
    """Train on ``rounds`` times 4096 frames, one or two minutes on one core; the same network every time.

    Args:
        rounds: 4096 frames each.
        epochs: how often each frame is seen.
    """
    parts = [real_frames(FIRST_SEED + number) for number in range(rounds)]
    frames, shapes = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    return fit_classifier(frames, shapes, *real_frames(TEST_SEED, per_clip=4), epochs=epochs)


def fit_classifier(
    frames: torch.Tensor,
    shapes: torch.Tensor,
    test_frames: torch.Tensor,
    test_shapes: torch.Tensor,
    *,
    classes: int = len(SHAPE_NAMES),
    epochs: int = 3,
) -> ShapeClassifier:
    """Train on ``frames`` ``[N, 3, 64, 64]`` in 0..1 and their ``shapes`` ``[N]``, numbers below ``classes``."""
    generator = torch.Generator().manual_seed(FIRST_SEED)
    network = seeded(lambda: _network(classes), FIRST_SEED)
    steps = epochs * (len(frames) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1)
    for _ in range(epochs):
        for batch in torch.randperm(len(frames), generator=generator).split(BATCH)[: len(frames) // BATCH]:
            noise = torch.randn(frames[batch].shape, generator=generator)
            loss = functional.cross_entropy(network(frames[batch] + NOISE * noise), shapes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    classifier = ShapeClassifier(network.eval().requires_grad_(False), 0.0)
    accuracy = (classifier.shapes(test_frames) == test_shapes).float().mean()
    return ShapeClassifier(classifier.network, float(accuracy))


def judge_shapes(classifier: ShapeClassifier, videos: torch.Tensor, shapes: torch.Tensor) -> dict[str, float]:
    """Share (0..1) of frames of ``[N, F, 3, 64, 64]`` recognised as their shape ``[N]``: all, first, each shape."""
    found = classifier.shapes(videos.flatten(0, 1)).view(videos.shape[:2])
    right = (found == shapes[:, None]).float()
    measures = {'shape recognised': float(right.mean()), 'shape recognised, first frame': float(right[:, 0].mean())}
    for index, name in enumerate(SHAPE_NAMES):
        if (shapes == index).any():
            measures[f'shape recognised, {name}'] = float(right[shapes == index].mean())
    return measures
