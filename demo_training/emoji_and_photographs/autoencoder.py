"""The autoencoder: a linear one first, then its decoder alone, on latents that are a little off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from demo_training.autoencoder import psnr
from demo_training.emoji_and_photographs import linear, linear_layers, rendering, stills
from demo_training.emoji_and_photographs.architecture import AUTOENCODER
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.linear import LinearAutoencoder, install
from demo_training.emoji_and_photographs.linear_layers import linear_loss
from demo_training.emoji_and_photographs.shuffled import Shuffled
from demo_training.emoji_and_photographs.stills import KINDS, Stills, still
from demo_training.made_from import MADE_FROM, code_fingerprint
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

#: The linear autoencoder, see :mod:`~demo_training.emoji_and_photographs.linear`.
LINEAR = LoopSettings(
    steps=2000,
    learning_rate=2e-3,
    schedule='cosine',
    warmup_steps=30,
    weight_decay=0.0,
    ema_decay=0.98,
    checkpoint_seconds=60,
    log_every=100,
)
#: Pictures that it is trained on, and those of a batch.
POOL, LINEAR_BATCH = 2400, 16
#: Pictures by which it starts, and by which its latents are balanced.
PRINCIPAL = 400
#: The decoder alone, which learns to be sharper than a linear one can be.
DECODER = LoopSettings(
    steps=2200,
    learning_rate=3e-4,
    schedule='cosine',
    warmup_steps=100,
    weight_decay=0.0,
    ema_decay=0.998,
    seed=1,
    checkpoint_seconds=120,
    validate_every=250,
    log_every=50,
)
#: The largest standard deviation of the noise that it adds to latents of unit variance. Latents from a UNet are never
#: exact, and a decoder that has only seen exact ones turns their error into flicker.
LATENT_NOISE = 0.03
#: The log-variances: the posteriors are points.
LOGVAR = -20.0
#: Held-out pictures of each kind by which the training is judged.
JUDGED = 32


class Decoding(nn.Module):
    """Encode pictures and decode their latents, for the loss. Only the decoder learns."""

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, x: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Decode the latents of ``x``, plus ``noise``."""
        with torch.no_grad():
            mean, _ = self.autoencoder.encode(x)
        return self.autoencoder.decode(mean if noise is None else mean + noise.to(mean))


def decoder_loss(
    model: nn.Module, x: torch.Tensor, generator: torch.Generator, latent_noise: float = 0.0
) -> Mapping[str, torch.Tensor]:
    """Absolute and squared error.

    Args:
        latent_noise: the largest standard deviation of the noise added to latents.
    """
    side = x.shape[-1] // 8
    noise = torch.randn((len(x), AUTOENCODER['embed_dim'], side, side), generator=generator)
    noise = latent_noise * torch.rand((len(x), 1, 1, 1), generator=generator) * noise
    error = model(x, noise.to(x.device)).float() - x
    squared = error.square().mean()
    return {'loss': error.abs().mean() + 4 * squared, 'psnr': 10 * torch.log10(4 / squared.detach())}


def train_linear(
    data: Data,
    folder: Path,
    settings: LoopSettings = LINEAR,
    pool: int = POOL,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> AutoencoderKL:
    """The first phase: a new autoencoder that is linear. An interrupted training in ``folder`` is resumed.

    Args:
        pool: the number of pictures.
    """
    pictures = torch.stack([still(data, number, KINDS[number % len(KINDS)]) for number in range(pool)])
    start = seeded(lambda: LinearAutoencoder(pictures[:PRINCIPAL]), settings.seed)
    batches = Shuffled(pictures, LINEAR_BATCH, settings.seed)
    fit(start, linear_loss, batches, settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    start.balance(pictures[:PRINCIPAL])
    autoencoder = seeded(lambda: AutoencoderKL(**AUTOENCODER), settings.seed)
    install(start, autoencoder)
    bias: Any = autoencoder.quant_conv.bias
    bias.data[autoencoder.config.embed_dim :] = LOGVAR
    return autoencoder.eval()


def train_decoder(
    autoencoder: AutoencoderKL,
    latent_scale: float,
    data: Data,
    judged: Mapping[str, torch.Tensor],
    folder: Path,
    settings: LoopSettings = DECODER,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> AutoencoderKL:
    """The last phase: the decoder of a trained ``autoencoder``, whose latents do not change.

    Args:
        latent_scale: the factor that gives its latents unit variance.
        judged: see :func:`judged_pictures`.
    """

    def validate(step: int, log: TrainingLog | None) -> dict[str, float]:
        return {f'psnr_{name}': psnr(autoencoder, pictures) for name, pictures in judged.items()}

    autoencoder.requires_grad_(True)
    autoencoder.encoder.requires_grad_(False)
    autoencoder.quant_conv.requires_grad_(False)
    model = Decoding(autoencoder).to(memory_format=torch.channels_last)  # faster on CPUs
    loss = partial(decoder_loss, latent_noise=LATENT_NOISE / latent_scale)
    batches = Stills(data, first=settings.seed << 24)
    identity = {MADE_FROM: made_from}
    fit(model, loss, batches, settings, folder, validate=validate, identity=identity, stop=stop)
    return autoencoder.eval()


def judged_pictures(held_out: Data, count: int = JUDGED) -> dict[str, torch.Tensor]:
    """``count`` held-out pictures of each kind in [-1, 1]: emoji in front of both backgrounds, and photographs."""
    kinds = {'emoji': ('emoji over photograph', 'emoji over gradient'), 'photographs': ('photograph',)}
    return {
        name: torch.stack([still(held_out, number, choices[number % len(choices)]) for number in range(count)])
        for name, choices in kinds.items()
    }


def autoencoder_identity() -> tuple[Any, ...]:
    """What a trained autoencoder depends on, beside the data and the settings of the loop."""
    modules = (rendering, stills, linear, linear_layers)
    code = code_fingerprint(*(Path(module.__file__ or '') for module in modules))
    return code, AUTOENCODER, LOGVAR, LINEAR_BATCH, PRINCIPAL, LATENT_NOISE
