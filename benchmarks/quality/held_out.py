"""Clips of the world that the embedded models have never seen, with their ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from demo_training.scenes.canvas import hsv, linear_gradient
from demo_training.scenes.shapes import SHAPES
from demo_training.scenes.sprites import Sprite
from demo_training.world import make_clip, make_sprite
from tests.data import embedded_world

SHAPE_NAMES: tuple[str, ...] = tuple(embedded_world.SHAPES)


@dataclass(frozen=True)
class SpriteClips:
    """Clips of a sprite over a still background.

    Attributes:
        clips: ``[N, F, 3, H, W]``, the real clips; their first frames are the input of a model.
        background: ``[N, 3, H, W]``, the background without the sprite.
        colour: ``[N, 3]``, the mean of the sprite's pixels in the first frame, including its shading.
        area: ``[N]``, the sprite's pixels (opacity above a half), mean over frames.
        shape: ``[N]`` int64, index into :data:`SHAPE_NAMES`.
    """

    clips: torch.Tensor
    background: torch.Tensor
    colour: torch.Tensor
    area: torch.Tensor
    shape: torch.Tensor

    def __len__(self) -> int:
        return len(self.clips)


def judge_clips(count: int, seed: int, num_frames: int) -> SpriteClips:
    """``count`` clips, 64x64 pixels, of the generator that specifies the world (``tests/data/embedded_world.py``)."""
    clips, known = embedded_world.sample(count, seed, F=num_frames)
    clips = clips.float() / 255
    inside = (known['mask'] > 0.5).float()  # [N, F, H, W]
    first = inside[:, 0, None]
    colour = (clips[:, 0] * first).sum(dim=(2, 3)) / first.sum(dim=(2, 3))
    return SpriteClips(clips, known['bg'], colour, inside.sum(dim=(2, 3)).mean(dim=1), known['shape'])


def as_video(frames: np.ndarray) -> torch.Tensor:
    """uint8 ``[F, H, W, 3]`` -> float32 ``[F, 3, H, W]`` in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


def as_uint8(video: torch.Tensor) -> np.ndarray:
    """The inverse, rounded: ``[F, 3, H, W]`` or ``[3, H, W]`` -> uint8 ``[..., H, W, 3]``."""
    return video.mul(255).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1).contiguous().numpy()


def world_clips(kind: str, seeds: Sequence[int], num_frames: int, size: int = 64) -> torch.Tensor:
    """``[N, F, 3, size, size]`` from the project's own generator, which draws the same scene at any size."""
    return torch.stack(
        [as_video(make_clip(seed, num_frames=num_frames, size=size, kind=kind).frames) for seed in seeds]
    )


@dataclass(frozen=True)
class LargeClip:
    """A clip at stage 2's size, from the project's own generator: tests/data/embedded_world.py draws 64x64 pixels only.

    Attributes:
        kind: ``'sprite'``, ``'landscape'`` or ``'layout'``.
        video: ``[F, 3, S, S]``.
        text: what it shows.
        sprite: its attributes, for a sprite.
    """

    kind: str
    video: torch.Tensor
    text: str
    sprite: Sprite | None = None

    def background(self) -> torch.Tensor:
        """``[3, S, S]`` without the sprite."""
        sprite = self._sprite()
        gradient = linear_gradient(self.video.shape[-1], *sprite.background, sprite.angle)
        return torch.from_numpy(gradient).permute(2, 0, 1).float()

    def contradiction(self) -> Sprite:
        """The same sprite in the opposite colour and another shape."""
        sprite = self._sprite()
        hue = 0.0 if sprite.hue is None else (sprite.hue + 0.5) % 1
        names = list(SHAPES)
        shape = names[(names.index(sprite.shape) + 3) % len(names)]
        return replace(sprite, hue=hue, colour=hsv(hue, 0.9, 0.95), shape=shape)

    def _sprite(self) -> Sprite:
        if self.sprite is None:
            raise ValueError(f'A {self.kind} has no sprite.')
        return self.sprite


def large_clip(seed: int, index: int, num_frames: int, size: int = 128) -> LargeClip:
    """Number ``index`` of a mixture in which three of five clips are sprites, one a landscape, one a colour layout."""
    kind = ('sprite', 'sprite', 'landscape', 'sprite', 'layout')[index % 5]
    if kind == 'sprite':
        sprite = make_sprite(seed + index)
        frames = sprite.render(np.arange(num_frames, dtype=float), size)
        return LargeClip(kind, as_video(frames), sprite.caption, sprite)
    clip = make_clip(seed + index, num_frames=num_frames, size=size, kind=kind)
    return LargeClip(kind, as_video(clip.frames), clip.text)
