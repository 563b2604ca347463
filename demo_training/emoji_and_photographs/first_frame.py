"""Teach a UNet that knows pictures to see the first frame beside every frame.

A clip's first frame reaches the others through attention along time alone, and learning that together with everything
else takes thousands of steps. It is quick to learn alone: after training on single frames, the encoder of the first
frame is trained to give all frames of a clip the channels that it gives to a single one. The UNet then draws the
picture in every frame, and what is left to learn is how it moves. For that it must know where in the clip a frame is,
so the encoder also learns to write this to the channels, where the UNet does not look yet.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from demo_training.emoji_and_photographs.latents import Batches, Pool
from demo_training.made_from import MADE_FROM
from modelscope_i2v.networks import I2VGenXLUNet
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.settings import LoopSettings

#: Pictures in a batch, and the numbers of frames of the clips that they start.
PICTURES_AT_A_TIME, FRAME_COUNTS = 8, (1, 2, 4, 8, 16)
#: How far apart the channels of the first and of the last frame of a clip are.
POSITION = 1.0
SETTINGS = LoopSettings(
    steps=5000,
    learning_rate=3e-3,
    schedule='cosine',
    warmup_steps=300,
    weight_decay=0.0,
    ema_decay=0.99,
    checkpoint_seconds=120,
    log_every=250,
)


@dataclass(frozen=True)
class SameInAllFrames:
    """The loss: how much the channels of the first and of later frames differ from what they should be.

    They should be those of a single frame, plus ``position`` times the share of the clip that has passed.

    Attributes:
        teacher: the encoder as it is for single frames.
        scale_factor: of the latents.
        position: what is added at the end of a clip, ``[C]``.
    """

    teacher: nn.Module
    scale_factor: float
    position: torch.Tensor

    def __call__(
        self, encoder: nn.Module, batch: Mapping[str, Any], generator: torch.Generator
    ) -> Mapping[str, torch.Tensor]:
        """Return ``{'loss': squared errors in units of the channels' variance}``."""
        picture = self.scale_factor * batch['mean'][:, :, 0]
        num_frames = FRAME_COUNTS[int(torch.randint(len(FRAME_COUNTS), (), generator=generator))]
        with torch.no_grad():
            single = self.teacher(picture, 1)
        passed = torch.linspace(0, 1, num_frames).view(-1, 1, 1) * self.position.view(-1, 1, 1, 1)
        errors = (encoder(picture, num_frames) - (single + passed)).square().mean(dim=(0, 1, 3, 4)) / single.var()
        return {'loss': errors[0] + errors[1:].sum() / max(1, num_frames - 1)}


@torch.no_grad()
def unseen_direction(unet: I2VGenXLUNet) -> torch.Tensor:
    """The unit vector ``[C]`` of the concatenated channels to which the UNet's first layer responds least.

    It is meant for the same vector at all places, so the weights of a kernel are added up.
    """
    response = unet.conv_in.weight[:, unet.config.in_channels :].sum(dim=(2, 3))
    direction: torch.Tensor = torch.linalg.svd(response).Vh[-1]
    return direction


def train_first_frame(
    scale_factor: float,
    unet: I2VGenXLUNet,
    pool: Pool,
    folder: Path,
    settings: LoopSettings,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> I2VGenXLUNet:
    """Train the encoder of the first frame, and nothing else. An interrupted training in ``folder`` is resumed."""
    encoder = unet.concat_encoder
    teacher = copy.deepcopy(encoder).requires_grad_(False)
    encoder.requires_grad_(True)
    batches = Batches(pool, PICTURES_AT_A_TIME, settings.seed)
    loss = SameInAllFrames(teacher, scale_factor, POSITION * unseen_direction(unet))
    fit(encoder, loss, batches, settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    return unet


def first_frame_identity() -> tuple[Any, ...]:
    """What the encoder depends on, beside its data and the settings of the loop."""
    return PICTURES_AT_A_TIME, FRAME_COUNTS, POSITION
