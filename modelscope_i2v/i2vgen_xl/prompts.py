"""The default negative prompt, which the checkpoint was used with."""

from __future__ import annotations

NEGATIVE_PROMPT = (
    'Distorted, discontinuous, Ugly, blurry, low resolution, motionless, static, disfigured, disconnected limbs, Ugly '
    'faces, incomplete arms'
)
