"""How much stage 2 of the embedded models gains over bicubic enlargement, on held-out clips of 256x256."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.judging.held_out_clips import default_scenes
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.moves import FPS, NUM_FRAMES
from demo_training.emoji_and_photographs.sharpening.drawing import draw_frames, halved
from modelscope_i2v.metrics import psnr
from modelscope_i2v.training.data.clips import to_pixels


@dataclass(frozen=True)
class Sharpened:
    """One clip: what is known, what stage 2 is given, and what becomes of that; all uint8 RGB.

    Attributes:
        truth: ``[F, 256, 256, 3]``.
        given: ``[F, 128, 128, 3]``, averages over squares of four pixels of ``truth``.
        bicubic: ``given``, enlarged.
        video: what stage 2 makes of ``given``.
        is_emoji: whether it shows an emoji.
    """

    truth: np.ndarray
    given: np.ndarray
    bicubic: np.ndarray
    video: np.ndarray
    is_emoji: bool

    @property
    def gain(self) -> float:
        """By how many dB the PSNR of stage 2 is above that of bicubic enlargement."""
        return psnr(self.truth, self.video) - psnr(self.truth, self.bicubic)


def sharpened_clips(pipeline: Any, data: Data, emoji: int = 8, photographs: int = 6) -> Iterator[Sharpened]:
    """The first clips of :func:`~benchmarks.judging.held_out_clips.default_clips` through stage 2 and without it.

    Args:
        pipeline: stage 2, called with its defaults and no text.
        data: what is held out, from
            :func:`~demo_training.emoji_and_photographs.sharpening.large_data.load_large_data`.
        emoji, photographs: how many of the clips of each kind.
    """
    scenes = [scene for scene in default_scenes(data) if scene.emoji is not None][:emoji]
    scenes += [scene for scene in default_scenes(data) if scene.emoji is None][:photographs]
    for scene in scenes:
        truth = draw_frames(data, scene, NUM_FRAMES)
        given = _as_uint8(halved(truth))
        enlarged = functional.interpolate(to_pixels(given), scale_factor=2.0, mode='bicubic')
        video = pipeline(given, output_type='np', output_fps=FPS, seed=0, show_progress=False)['output_video']
        yield Sharpened(_as_uint8(truth), given, _as_uint8(enlarged), video, scene.emoji is not None)


def sharpening_gains(pipeline: Any, data: Data, emoji: int = 8, photographs: int = 6) -> dict[str, dict[str, float]]:
    """Means over clips of ``emoji`` and of ``photographs``: ``PSNR`` and ``bicubic`` in dB, and their ``gain``.

    Args:
        pipeline, data, emoji, photographs: see :func:`sharpened_clips`.
    """
    found: dict[str, list[tuple[float, float]]] = {'emoji': [], 'photographs': []}
    for clip in sharpened_clips(pipeline, data, emoji, photographs):
        values = psnr(clip.truth, clip.video), psnr(clip.truth, clip.bicubic)
        found['emoji' if clip.is_emoji else 'photographs'].append(values)
    gains = {}
    for kind, each in found.items():
        if each:
            sharp, bicubic = (float(value) for value in np.mean(each, axis=0))
            gains[kind] = {'PSNR': sharp, 'bicubic': bicubic, 'gain': sharp - bicubic}
    return gains


def _as_uint8(frames: torch.Tensor) -> np.ndarray:
    """Frames ``[F, 3, H, W]`` in [-1, 1] -> uint8 ``[F, H, W, 3]``."""
    levels = (127.5 * (frames.clamp(-1, 1) + 1)).round().to(torch.uint8)
    return levels.movedim(1, -1).contiguous().numpy()
