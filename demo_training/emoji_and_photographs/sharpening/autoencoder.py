"""Stage 2's autoencoder, from windows of pictures: a linear one first, then a decoder that improves on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from demo_training.autoencoder import psnr
from demo_training.emoji_and_photographs.autoencoder import Decoding
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.linear_layers import linear_loss
from demo_training.emoji_and_photographs.scenes import draw_scene
from demo_training.emoji_and_photographs.sharpening.architecture import AUTOENCODER
from demo_training.emoji_and_photographs.sharpening.drawing import SIDE, draw_frames
from demo_training.emoji_and_photographs.sharpening.linear import LinearAutoencoder, install
from demo_training.emoji_and_photographs.shuffled import Shuffled
from demo_training.made_from import MADE_FROM
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

LINEAR = LoopSettings(
    steps=600,
    learning_rate=2e-3,
    schedule='cosine',
    warmup_steps=30,
    weight_decay=0.0,
    ema_decay=0.98,
    checkpoint_seconds=60,
    log_every=100,
)
DECODER = LoopSettings(
    steps=700,
    learning_rate=3e-4,
    schedule='cosine',
    warmup_steps=100,
    weight_decay=0.0,
    ema_decay=0.98,
    seed=1,
    checkpoint_seconds=60,
    validate_every=150,
    log_every=25,
)
#: Windows that are drawn, windows in a batch of each phase, and pixels per side.
POOL, LINEAR_BATCH, DECODER_BATCH, WINDOW = 1000, 16, 8, 64
#: The log-variances: the posteriors are points.
LOGVAR = -20.0
#: Held-out pictures of each kind by which the training is judged.
JUDGED = 6


def decoder_loss(model: nn.Module, x: torch.Tensor, _: torch.Generator) -> Mapping[str, torch.Tensor]:
    """Absolute and squared error."""
    error = model(x).float() - x
    squared = error.square().mean()
    return {'loss': error.abs().mean() + 10 * squared, 'psnr': 10 * torch.log10(4 / squared.detach())}


def draw_windows(data: Data, count: int, side: int = WINDOW) -> torch.Tensor:
    """Parts ``[count, 3, side, side]`` in [-1, 1] of pictures of 256x256, each of another picture."""
    return torch.stack([_window(data, number, side) for number in range(count)])


def train_linear(
    windows: torch.Tensor,
    folder: Path,
    settings: LoopSettings = LINEAR,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> AutoencoderKL:
    """The first phase: a new autoencoder that is linear. An interrupted training in ``folder`` is resumed."""
    linear = seeded(LinearAutoencoder, settings.seed)
    batches = Shuffled(windows, LINEAR_BATCH, settings.seed)
    fit(linear, linear_loss, batches, settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    autoencoder = seeded(lambda: AutoencoderKL(**AUTOENCODER), settings.seed)
    install(linear, autoencoder)
    bias: Any = autoencoder.quant_conv.bias
    bias.data[autoencoder.config.embed_dim :] = LOGVAR
    return autoencoder.eval()


def train_decoder(
    autoencoder: AutoencoderKL,
    windows: torch.Tensor,
    judged: Mapping[str, torch.Tensor],
    folder: Path,
    settings: LoopSettings = DECODER,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> AutoencoderKL:
    """The second phase: all of the decoder. The latents do not change.

    Args:
        judged: see :func:`judged_pictures`.
    """

    def validate(step: int, log: TrainingLog | None) -> dict[str, float]:
        return {f'psnr_{name}': psnr(autoencoder, pictures) for name, pictures in judged.items()}

    autoencoder.requires_grad_(True)
    autoencoder.encoder.requires_grad_(False)
    autoencoder.quant_conv.requires_grad_(False)
    model = Decoding(autoencoder).to(memory_format=torch.channels_last)  # faster on CPUs
    batches = Shuffled(windows, DECODER_BATCH, settings.seed)
    identity = {MADE_FROM: made_from}
    fit(model, decoder_loss, batches, settings, folder, validate=validate, identity=identity, stop=stop)
    return autoencoder.eval()


def judged_pictures(held_out: Data, count: int = JUDGED) -> dict[str, torch.Tensor]:
    """``count`` held-out pictures of emoji and of photographs each, ``[count, 3, 256, 256]`` in [-1, 1]."""

    def picture(number: int, emoji: bool) -> torch.Tensor:
        return draw_frames(held_out, draw_scene(held_out, np.random.default_rng((10, number)), emoji=emoji), 1)[0]

    kinds = {'emoji': True, 'photographs': False}
    return {name: torch.stack([picture(n, emoji) for n in range(count)]) for name, emoji in kinds.items()}


def autoencoder_identity() -> tuple[Any, ...]:
    """What a trained autoencoder depends on, beside its data and the settings of the loop."""
    return AUTOENCODER, LOGVAR, LINEAR_BATCH, DECODER_BATCH, WINDOW


def _window(data: Data, number: int, side: int) -> torch.Tensor:
    rng = np.random.default_rng((9, number))
    picture = draw_frames(data, draw_scene(data, rng), 1)[0]
    top, left = rng.integers(0, SIDE - side + 1, size=2)
    return picture[:, top : top + side, left : left + side]
