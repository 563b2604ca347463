"""Validation during training: generate videos for a few examples, measure them, and log them as strips of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.metrics import Evaluation, evaluate
from modelscope_i2v.metrics.embeddings import Encoder
from modelscope_i2v.training.data.clips import Clip
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.stages import StageTraining

#: Number of frames in a strip.
SHOWN = 8


@dataclass(frozen=True)
class Validator:
    """Generates and measures a video for each of ``clips``; :func:`~modelscope_i2v.training.loop.fit.fit` calls it.

    Attributes:
        trained: the stage, with the network in training.
        arguments: the arguments of each pipeline call.
        encoder: the image encoder for the similarity metrics.
    """

    trained: StageTraining
    clips: Sequence[Clip]
    arguments: dict[str, Any]
    encoder: Encoder

    def __call__(self, step: int, log: TrainingLog | None = None) -> dict[str, float]:
        """Mean of each metric over the clips that have it (single frames have no motion); strips go to ``log``."""
        found: dict[str, list[float]] = {}
        for index, clip in enumerate(self.clips):
            video = self.trained.generate(clip, **self.arguments)
            frames = video.mul(255).round().byte().permute(0, 2, 3, 1).numpy()
            evaluation = evaluate(open_video(frames), self.encoder, **self.trained.reference(clip))
            for name, value in measures(evaluation).items():
                found.setdefault(name, []).append(value)
            if log is not None:
                log.picture(step, f'sample/{index}', strip(clip, frames))
        return {name: float(np.mean(values)) for name, values in found.items()}


def measures(evaluation: Evaluation) -> dict[str, float]:
    """The numbers of an evaluation that make sense on their own."""
    similarity, comparison, motion = evaluation.image_video_similarity, evaluation.comparison, evaluation.motion
    values = {
        'image_video_similarity': None if similarity is None else similarity.mean,
        'video_video_similarity': None if comparison is None else comparison.similarity.mean,
        'psnr': None if comparison is None else comparison.psnr,
        'ssim': None if comparison is None else comparison.ssim,
        'temporal_consistency': evaluation.temporal_consistency,
        'motion': None if motion is None else motion.flow,
        'flicker': evaluation.flicker,
        'sharpness': evaluation.sharpness,
    }
    return {name: value for name, value in values.items() if value is not None}


def strip(clip: Clip, frames: np.ndarray) -> np.ndarray:
    """The input and some frames side by side, uint8 ``[H, W, 3]``."""
    chosen = frames[np.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().astype(int)]
    height, width = frames.shape[1:3]
    given = np.asarray(Image.fromarray(clip.frames[0]).resize((width, height)))
    return np.concatenate([given, *chosen], axis=1)
