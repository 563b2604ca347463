"""Teach a UNet to draw any frame of a clip, given the first one, a text and where in the clip the frame is.

How a camera or an emoji moves follows from these, so frames need not see each other for it. Single frames of many clips
teach more in an hour than a few whole clips do: whole clips are left to teach what frames have in common.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from demo_training.emoji_and_photographs.latents import Batches, Pool
from demo_training.emoji_and_photographs.moves import NUM_FRAMES
from demo_training.made_from import MADE_FROM
from demo_training.temporal import set_temporal_layers
from modelscope_i2v.networks import I2VGenXLUNet, set_attention_backend
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.objective import Objective

#: Clips in a batch; of each, two frames are drawn.
CLIPS_AT_A_TIME = 16
SETTINGS = LoopSettings(
    steps=1600,
    learning_rate=6e-4,
    schedule='cosine',
    warmup_steps=50,
    weight_decay=0.0,
    ema_decay=0.995,
    checkpoint_seconds=120,
    log_every=50,
)


class FirstAndAnother(nn.Module):
    """A UNet for two frames of a clip that do not see each other: the first, and any other."""

    def __init__(self, unet: I2VGenXLUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        text_features: torch.Tensor,
        image_embedding: torch.Tensor,
        image_latents: torch.Tensor,
        rate_and_number: torch.Tensor,
    ) -> torch.Tensor:
        """Predict v of ``x`` ``[B, C, 2, h, w]``.

        Args:
            t, text_features, image_embedding, image_latents: as for the UNet.
            rate_and_number: ``[B, 2]``, frames per second and the number of the second frame, 1..15.
        """
        fps, number = rate_and_number.unbind(1)
        tokens = [text_features, self.unet.local_tokens(image_latents), self.unet.global_tokens(image_embedding)]
        beside = self.unet.concat(image_latents, NUM_FRAMES)
        pair = torch.stack([beside[:, :, 0], beside[torch.arange(len(x)), :, number.long()]], dim=2)
        return self.unet.trunk(x, self.unet.time_and_fps(t, fps), torch.cat(tokens, dim=1), pair)


@dataclass(frozen=True)
class PairsOfFrames(Dataset[dict[str, torch.Tensor]]):
    """Batches of the first and another frame of clips of a pool, in an order that depends on ``seed`` only."""

    pool: Pool
    size: int
    seed: int = 0

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        batch = Batches(self.pool, self.size, self.seed)[number]
        mean, rng = batch['mean'], np.random.default_rng((7, self.seed, number))
        another = torch.from_numpy(rng.integers(1, mean.shape[2], size=len(mean)))
        pair = torch.stack([mean[:, :, 0], mean[torch.arange(len(mean)), :, another]], dim=2)
        rate_and_number = torch.stack([batch['fps'], another.float()], dim=1)
        return {**batch, 'mean': pair, 'logvar': torch.full_like(pair, -30.0), 'fps': rate_and_number}


def train_single_frames(
    loss: Objective,
    unet: I2VGenXLUNet,
    pool: Pool,
    folder: Path,
    settings: LoopSettings,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> I2VGenXLUNet:
    """Train everything but the layers that connect frames and the encoder of the first frame.

    An interrupted training in ``folder`` is resumed.
    """
    unet.requires_grad_(True)
    unet.concat_encoder.requires_grad_(False)
    set_attention_backend(unet, 'math')
    set_temporal_layers(unet, False)
    apart = dataclasses.replace(loss, motion_weight=0.0)
    batches = PairsOfFrames(pool, CLIPS_AT_A_TIME, settings.seed)
    fit(FirstAndAnother(unet), apart, batches, settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    set_temporal_layers(unet, True)
    return unet


def single_frames_identity() -> tuple[Any, ...]:
    """What the UNet depends on, beside its data and the settings of the loop."""
    return (CLIPS_AT_A_TIME,)
