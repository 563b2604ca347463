"""The autoencoder, trained on single pictures; then its decoder alone, on latents that are a little off."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from demo_training.autoencoder import Reconstruction, psnr
from demo_training.emoji_and_photographs import rendering, stills
from demo_training.emoji_and_photographs.architecture import AUTOENCODER
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.stills import Stills, still
from demo_training.made_from import MADE_FROM, code_fingerprint
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

_STEADY = LoopSettings(
    steps=1000,
    learning_rate=1e-3,
    weight_decay=0.0,
    ema_decay=0.995,
    checkpoint_seconds=120,
    validate_every=250,
    log_every=50,
)
#: The phases of the whole autoencoder, each of which goes on from the averaged weights of the one before; the last one
#: settles it.
PHASES = (
    _STEADY,
    dataclasses.replace(_STEADY, seed=1),
    dataclasses.replace(_STEADY, seed=2, learning_rate=5e-4),
    dataclasses.replace(_STEADY, seed=3, learning_rate=5e-4, steps=1500, schedule='cosine', ema_decay=0.998),
)
#: Pictures in a batch of each phase, and pixels per side. Colours are learnt first, from many small pictures: after 300
#: steps of 32 whole pictures of 32x32 the error is 17.1 dB (held out, at that size) and falls steadily. After 750 steps
#: of 8 squares of 64x64 colours were still wrong.
BATCHES = ((32, 32), (16, 64), (8, 128), (8, 128))
#: The phase of the decoder alone: sharper pictures from the same latents. It is long, because it goes on to gain.
DECODER = dataclasses.replace(PHASES[-1], seed=4, steps=10_000, learning_rate=8e-4)
#: The largest standard deviation of the noise that it adds to latents of unit variance. Latents from a UNet are never
#: exact, and a decoder that has only seen exact ones turns their error into flicker.
LATENT_NOISE = 0.1
#: The initial log-variances. The posteriors start almost as points, so that the network first learns to reconstruct.
INITIAL_LOGVAR = -6.0
KL_WEIGHT = 1e-5
#: Held-out pictures of each kind by which the training is judged.
JUDGED = 32


def reconstruction_loss(
    model: torch.nn.Module, x: torch.Tensor, generator: torch.Generator, latent_noise: float = 0.0
) -> Mapping[str, torch.Tensor]:
    """Absolute and squared error, and a little of the divergence from the standard normal distribution.

    Args:
        latent_noise: the largest standard deviation of the noise added to latents, beside the posterior's own.
    """
    side, channels = x.shape[-1] // 8, AUTOENCODER['embed_dim']
    noise = torch.randn((len(x), channels, side, side), generator=generator).to(x.device)
    levels = latent_noise * torch.rand((len(x), 1, 1, 1), generator=generator).to(x.device)
    decoded, mean, logvar = model(x, noise, levels)
    error = decoded.float() - x
    squared = error.square().mean()
    divergence = 0.5 * (mean.float().square() + logvar.float().exp() - 1 - logvar.float()).mean()
    loss = error.abs().mean() + 4 * squared + KL_WEIGHT * divergence
    return {'loss': loss, 'psnr': 10 * torch.log10(4 / squared.detach()), 'divergence': divergence}


def new_autoencoder(seed: int = 0) -> AutoencoderKL:
    """An untrained autoencoder with narrow posteriors."""
    autoencoder = seeded(lambda: AutoencoderKL(**AUTOENCODER), seed)
    bias: Any = autoencoder.quant_conv.bias
    bias.data[autoencoder.config.embed_dim :] = INITIAL_LOGVAR
    return autoencoder


def train_autoencoder(
    autoencoder: AutoencoderKL,
    data: Data,
    judged: Mapping[str, torch.Tensor],
    folder: Path,
    settings: LoopSettings,
    size: int,
    side: int,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> AutoencoderKL:
    """A phase of the training of the whole ``autoencoder``. An interrupted one in ``folder`` is resumed.

    Args:
        judged: see :func:`judged_pictures`.
        size, side: pictures in a batch, and pixels per side.
    """
    autoencoder.requires_grad_(True)
    batches = Stills(data, size, side, settings.seed << 24)
    return _fit(autoencoder, 0.0, batches, judged, folder, settings, made_from, stop)


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
    """
    autoencoder.requires_grad_(True)
    autoencoder.encoder.requires_grad_(False)
    autoencoder.quant_conv.requires_grad_(False)
    batches = Stills(data, first=settings.seed << 24)
    return _fit(autoencoder, LATENT_NOISE / latent_scale, batches, judged, folder, settings, made_from, stop)


def judged_pictures(held_out: Data, count: int = JUDGED) -> dict[str, torch.Tensor]:
    """``count`` held-out pictures of each kind in [-1, 1]: emoji in front of both backgrounds, and photographs."""
    kinds = {'emoji': ('emoji over photograph', 'emoji over gradient'), 'photographs': ('photograph',)}
    return {
        name: torch.stack([still(held_out, number, choices[number % len(choices)]) for number in range(count)])
        for name, choices in kinds.items()
    }


def autoencoder_identity() -> tuple[Any, ...]:
    """What a trained autoencoder depends on, beside the data and the settings of the loop."""
    code = code_fingerprint(Path(rendering.__file__), Path(stills.__file__))
    return code, AUTOENCODER, INITIAL_LOGVAR, KL_WEIGHT, LATENT_NOISE


def _fit(
    autoencoder: AutoencoderKL,
    latent_noise: float,
    batches: Stills,
    judged: Mapping[str, torch.Tensor],
    folder: Path,
    settings: LoopSettings,
    made_from: str,
    stop: Callable[[], bool] | None,
) -> AutoencoderKL:
    def validate(step: int, log: TrainingLog | None) -> dict[str, float]:
        return {f'psnr_{name}': psnr(autoencoder, pictures) for name, pictures in judged.items()}

    model = Reconstruction(autoencoder).to(memory_format=torch.channels_last)  # faster on CPUs
    loss = partial(reconstruction_loss, latent_noise=latent_noise)
    identity = {MADE_FROM: made_from}
    fit(model, loss, batches, settings, folder, validate=validate, identity=identity, stop=stop)
    return autoencoder.eval()
