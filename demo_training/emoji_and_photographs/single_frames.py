"""Teach a UNet to draw any frame of a clip, given the first one, a text and where in the clip the frame is.

How a camera or an emoji moves follows from these, so frames need not see each other for it. Single frames of many clips
teach more in an hour than a few whole clips do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

#: Clips in the pool of a phase and in a batch; frames of each clip, of which one is the first.
CLIPS_IN_POOL, CLIPS_AT_A_TIME, FRAMES_OF_CLIP = 8000, 8, 4
LONG = LoopSettings(
    steps=5000,
    learning_rate=8e-4,
    warmup_steps=100,
    weight_decay=0.0,
    ema_decay=0.998,
    checkpoint_seconds=120,
    log_every=50,
)

#: The norm of gradients is about 0.06 where the noise is highest, and above 1 in the few steps where it is low. Those
#: would undo what many others have learnt.
RARE = 0.2


@dataclass(frozen=True)
class Apart:
    """A phase of training on single frames.

    Attributes:
        settings: of the loop. Their seed is the phase's.
        timestep_power: how much more high noise counts. Where a picture and a text say it all, the first step from pure
            noise decides what moves where. At 10, a quarter of the steps at 2.5 teach as much about that.
        pooling: as in the objective; None leaves it as it is. Without it, details count as much as colours do.
        one_step: for sampling in one step. Pure noise says nothing about the clip, so the UNet begins and ends this
            phase blind to it; what it saw of the noise became flicker. It is always told the text: one step needs no
            guidance.
    """

    settings: LoopSettings
    timestep_power: float
    pooling: tuple[int, ...] | None = None
    one_step: bool = False

    def loss(self, loss: Objective) -> Objective:
        """The loss of the phase, from that for clips."""
        changes: dict[str, Any] = {'motion_weight': 0.0, 'timestep_power': self.timestep_power}
        if self.pooling is not None:
            changes['pooling'] = self.pooling
        if self.one_step:
            changes['conditioning_dropout'] = 0.0
        return dataclasses.replace(loss, **changes)

    def blind(self, unet: I2VGenXLUNet) -> None:
        """Take the noise from the sight of a UNet for one step."""
        if self.one_step:
            with torch.no_grad():
                unet.conv_in.weight[:, : unet.config.in_channels] = 0

    @property
    def identity(self) -> tuple[Any, ...]:
        """What the UNet depends on, beside its data and the settings of the loop."""
        own: list[Any] = [] if self.pooling is None else [self.pooling]
        if self.one_step:
            own.append('one step')
        return CLIPS_AT_A_TIME, FRAMES_OF_CLIP, self.timestep_power, *own


#: The last two make the network ready for sampling in one step, and settle it.
PHASES = (
    Apart(dataclasses.replace(LONG, seed=1), 2.5),
    Apart(dataclasses.replace(LONG, seed=2), 10.0),
    Apart(dataclasses.replace(LONG, seed=3, schedule='cosine'), 10.0),
    Apart(dataclasses.replace(LONG, seed=4), 10.0, pooling=()),
    Apart(dataclasses.replace(LONG, seed=5, max_grad_norm=RARE, steps=2000), 10.0, pooling=()),
    Apart(dataclasses.replace(LONG, seed=8, steps=6500), 100.0, pooling=(), one_step=True),
    Apart(dataclasses.replace(LONG, seed=9, steps=10_000, schedule='cosine'), 100.0, pooling=(), one_step=True),
)
#: Pools of clips. The seed of a phase says which one it takes.
POOLS = 3


class FramesApart(nn.Module):
    """A UNet for some frames of a clip that do not see each other."""

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
        rate_and_numbers: torch.Tensor,
    ) -> torch.Tensor:
        """Predict v of ``x`` ``[B, C, N, h, w]``.

        Args:
            t, text_features, image_embedding, image_latents: as for the UNet.
            rate_and_numbers: ``[B, 1 + N]``, frames per second and the numbers of the frames, 0..15.
        """
        fps, numbers = rate_and_numbers[:, 0], rate_and_numbers[:, 1:].long()
        tokens = [text_features, self.unet.local_tokens(image_latents), self.unet.global_tokens(image_embedding)]
        whole = self.unet.concat(image_latents, NUM_FRAMES)
        beside = torch.stack([clip[:, chosen] for clip, chosen in zip(whole, numbers, strict=True)])
        return self.unet.trunk(x, self.unet.time_and_fps(t, fps), torch.cat(tokens, dim=1), beside)


@dataclass(frozen=True)
class BatchesOfFrames(Dataset[dict[str, torch.Tensor]]):
    """Batches of the frames of a pool, with their numbers, in an order that depends on ``seed`` only."""

    pool: Pool
    size: int
    seed: int = 0

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        batch = Batches(self.pool, self.size, self.seed)[number]
        return {**batch, 'fps': torch.cat([batch['fps'].unsqueeze(1), batch['numbers'].float()], dim=1)}


def train_single_frames(
    phase: Apart,
    loss: Objective,
    unet: I2VGenXLUNet,
    pool: Pool,
    folder: Path,
    settings: LoopSettings,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> I2VGenXLUNet:
    """Train everything but the layers that connect frames and the encoder of the first frame.

    ``loss`` is that for clips. An interrupted training in ``folder`` is resumed.
    """
    phase.blind(unet)
    unet.requires_grad_(True)
    unet.concat_encoder.requires_grad_(False)
    set_attention_backend(unet, 'math')
    set_temporal_layers(unet, False)
    batches = BatchesOfFrames(pool, CLIPS_AT_A_TIME, settings.seed)
    fit(FramesApart(unet), phase.loss(loss), batches, settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    phase.blind(unet)  # it has learnt to see a little of it again, from chance
    set_temporal_layers(unet, True)
    return unet
