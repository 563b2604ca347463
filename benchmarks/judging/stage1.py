"""What the table of ``benchmarks.embedded_quality`` measures of videos. All are uint8 ``[F, H, W, 3]``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.judging.amount_of_motion import background_flicker, mean_difference
from benchmarks.judging.camera import DIRECTIONS, camera_move
from benchmarks.judging.held_out_clips import HeldOutClip
from benchmarks.judging.recognition import recognised, recognition_features
from benchmarks.judging.sprite import sprite_move
from modelscope_i2v.metrics import as_frames, psnr

Videos = Sequence[np.ndarray]
Clips = Sequence[HeldOutClip]


def first_frame_psnr(videos: Videos, clips: Clips) -> float:
    """PSNR of first frames against the pictures, in dB, in the mean."""
    return float(np.mean([psnr(clip.frames[:1], video[:1]) for video, clip in zip(videos, clips, strict=True)]))


def recognised_frame(videos: Videos, clips: Clips, number: int) -> float:
    """Share of frames ``number``, counted from 1, that are nearer to their picture than to 31 of something else."""
    frames = [video[number - 1] for video in videos]
    pictures = [clip.frames[0] for clip in clips]
    return recognised(_features(pictures), _features(frames), [clip.subject for clip in clips])


def obedience(videos: Videos, clips: Clips, text: str) -> float:
    """Share of videos that obey ``text``; ``clips`` say where the emoji are."""
    if text in DIRECTIONS:
        return float(np.mean([camera_move(video).obeys(text) for video in videos]))
    moves = [sprite_move(video, clip.mask) for video, clip in zip(videos, clips, strict=True)]
    return float(np.mean([move.spins if text == 'spin' else move.bounces for move in moves]))


def relative_motion(videos: Videos, others: Videos) -> float:
    """How much moves in ``videos``, as a multiple of what moves in ``others``."""
    return mean_difference(videos) / mean_difference(others)


def flicker(videos: Videos, clips: Clips) -> float:
    """Standard deviation over time, in 0..1, of what never changes in the real clips; the mean over those."""
    found = []
    for video, clip in zip(videos, clips, strict=True):
        still = (clip.frames == clip.frames[:1]).all(axis=(0, 3))
        if still.mean() > 0.1:
            found.append(background_flicker(video, still))
    return float(np.mean(found))


def _features(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    return recognition_features(as_frames(np.stack(pictures)))
