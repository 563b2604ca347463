"""The UNet: first pictures, to learn to keep one.

Then it learns to see the first frame beside every frame (:mod:`~demo_training.emoji_and_photographs.first_frame`), and
to draw single frames of clips (:mod:`~demo_training.emoji_and_photographs.single_frames`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from demo_training.emoji_and_photographs.architecture import CLIP, UNET
from demo_training.emoji_and_photographs.latents import Batches, Pool
from demo_training.made_from import MADE_FROM
from demo_training.temporal import set_temporal_layers, zero_temporal_outputs
from modelscope_i2v.diffusion import zero_snr_cosine_schedule
from modelscope_i2v.networks import I2VGenXLUNet, set_attention_backend
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.objective import Objective

#: A factor on the scale that gives latents unit variance: in smaller latents the noise hides for longer what will move
#: where (Chen 2023, "On the Importance of Noise Scheduling", 2301.10972).
INPUT_SCALE = 0.6
#: Single frames and clips in the pools of a phase, and in a batch.
PICTURES_IN_POOL, CLIPS_IN_POOL = 6000, 1500
PICTURES_AT_A_TIME, CLIPS_AT_A_TIME = 32, 4
PICTURES = LoopSettings(
    steps=2000,
    learning_rate=1e-3,
    warmup_steps=200,
    weight_decay=0.0,
    ema_decay=0.998,
    checkpoint_seconds=120,
    log_every=50,
)


def new_unet(seed: int = 0) -> I2VGenXLUNet:
    """An untrained UNet whose frames do not see each other yet."""
    unet = seeded(lambda: I2VGenXLUNet(**UNET), seed)
    zero_temporal_outputs(unet)
    return unet


def conditions(condition: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Text features, image embedding and latents of the first frame, from a condition ``[B, 1, L * C + E]``."""
    text, embedding = condition[..., : -CLIP['embed_dim']], condition[..., -CLIP['embed_dim'] :]
    return text.reshape(len(clean), -1, UNET['context_dim']), embedding, clean[:, :, 0]


def objective(unconditional: torch.Tensor, latent_scale: float) -> Objective:
    """The loss. High noise counts more, since colours are decided there; so do differences between frames.

    Args:
        unconditional: see :meth:`~demo_training.emoji_and_photographs.latents.Encoders.unconditional`.
        latent_scale: the factor that gives latents unit variance.
    """
    return Objective(
        schedule=zero_snr_cosine_schedule(),
        unconditional=unconditional,
        scale_factor=scale_factor(latent_scale),
        takes_fps=True,
        conditions=conditions,
        offset_noise=0.0,
        timestep_power=1.5,
        motion_weight=2.0,
        pooling=(2, 4),
    )


def scale_factor(latent_scale: float) -> float:
    """The scale factor of the model's configuration."""
    return round(latent_scale * INPUT_SCALE, 5)


def train_unet(
    loss: Objective,
    unet: I2VGenXLUNet,
    pool: Pool,
    folder: Path,
    settings: LoopSettings,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> I2VGenXLUNet:
    """A phase: on single frames or on clips, as ``pool`` has them. An interrupted one in ``folder`` is resumed."""
    moving = pool['mean'].shape[2] > 1
    unet.requires_grad_(True)
    set_attention_backend(unet, 'math')  # faster than fused attention at these sizes
    set_temporal_layers(unet, moving)
    batches = Batches(pool, CLIPS_AT_A_TIME if moving else PICTURES_AT_A_TIME, settings.seed)
    fit(unet, loss, batches, settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    set_temporal_layers(unet, True)
    return unet


def unet_identity(loss: Objective) -> tuple[Any, ...]:
    """What a trained UNet depends on, beside its data and the settings of the loop."""
    return UNET, loss.identity, PICTURES_AT_A_TIME, CLIPS_AT_A_TIME
