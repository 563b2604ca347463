"""The autoencoder of both small models of the first generation, trained on single pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from demo_training.architecture import AUTOENCODER
from demo_training.made_from import MADE_FROM
from demo_training.world import FIRST_HELD_OUT_SEED, make_clip
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.loop.fit import Loss, fit
from modelscope_i2v.training.loop.log import TrainingLog
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

SETTINGS = LoopSettings(
    steps=3000,
    learning_rate=1e-3,
    schedule='cosine',
    weight_decay=0.0,
    ema_decay=0.998,
    precision='bf16',
    log_every=50,
    validate_every=500,
    num_workers=0,
)
#: A second run trains only the decoder, with a frozen encoder: sharper outlines, the same latents.
DECODER = dataclasses.replace(SETTINGS, steps=6000, learning_rate=6e-4)
#: Largest standard deviation of the noise that this run adds to latents, whose own standard deviation is about 1.6.
#: Latents from a UNet are never exact, and a decoder that has only seen exact ones turns the error into flicker.
LATENT_NOISE = 0.15
#: A third run trains stage 2's decoder, on pictures of 128x128 only. It uses less noise, because stage 2 changes its
#: input less. The loss also counts the mean colours of 8x8 pixels, which matter most in smooth pictures.
DECODER_2 = dataclasses.replace(SETTINGS, steps=5000, learning_rate=5e-4)
LATENT_NOISE_2 = 0.05
AREA = 8
#: The kinds of its pictures. Smooth pictures take longest to learn.
KINDS_2 = ('sprite', 'layout', 'sprite', 'landscape', 'layout')
BATCH = 16
POOL = 16_000
SIDE = 64
#: The initial log-variances. The posteriors start almost as points, so that the network learns to reconstruct first.
INITIAL_LOGVAR = -5.0
KL_WEIGHT = 1e-5


class Pictures(Dataset[torch.Tensor]):
    """Batches ``[N, 3, S, S]`` of the world at both resolutions: whole pictures of stage 1, quarters of stage 2.

    Drawing a picture takes as long as learning from it, so a pool is drawn once and used in a new order every epoch.

    Args:
        pool: the number of pictures.
        large: use only quarters of stage-2 pictures, of the kinds :data:`KINDS_2`.
    """

    def __init__(self, pool: int, *, large: bool = False) -> None:
        draw = _large_picture if large else _picture
        self._pictures = to_pixels(np.stack([draw(index) for index in range(pool)]))

    def __getitem__(self, number: int) -> torch.Tensor:
        a_epoch = len(self._pictures) // BATCH
        order = np.random.default_rng((2, number // a_epoch)).permutation(len(self._pictures))
        start = number % a_epoch * BATCH
        return self._pictures[order[start : start + BATCH]].contiguous(memory_format=torch.channels_last)


def _picture(index: int) -> np.ndarray:
    rng = np.random.default_rng((1, index))
    seed = int(rng.integers(FIRST_HELD_OUT_SEED))
    large = index % 3 == 0
    frame = make_clip(seed, num_frames=1, size=SIDE * (2 if large else 1)).frames[0]
    top, left = rng.integers(0, SIDE + 1, size=2) if large else (0, 0)
    return frame[top : top + SIDE, left : left + SIDE]


def _large_picture(index: int) -> np.ndarray:
    rng = np.random.default_rng((7, index))
    seed = int(rng.integers(FIRST_HELD_OUT_SEED))
    frame = make_clip(seed, num_frames=1, size=2 * SIDE, kind=KINDS_2[index % len(KINDS_2)]).frames[0]
    top, left = rng.integers(0, SIDE + 1, size=2)
    return frame[top : top + SIDE, left : left + SIDE]


class Reconstruction(nn.Module):
    """Encode, sample and decode in one forward pass, for the loss."""

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(
        self, x: torch.Tensor, noise: torch.Tensor, levels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Decode latents with extra noise of standard deviations ``levels [N, 1, 1, 1]`` added to the posterior's."""
        mean, logvar = self.autoencoder.encode(x)
        z = mean + (logvar.exp() + levels.to(mean).square()).sqrt() * noise.to(mean)
        return self.autoencoder.decode(z), mean, logvar


def reconstruction_loss(
    model: nn.Module,
    x: torch.Tensor,
    generator: torch.Generator,
    latent_noise: float = 0.0,
    area: int | None = None,
) -> Mapping[str, torch.Tensor]:
    """Absolute plus squared error plus a little of the divergence from the standard normal distribution.

    Args:
        latent_noise: the largest standard deviation of the noise added to latents.
        area: the side of squares of pixels whose mean error also counts, with half the weight.
    """
    side = SIDE // 4
    noise = torch.randn((len(x), 4, side, side), generator=generator).to(x.device)
    levels = latent_noise * torch.rand((len(x), 1, 1, 1), generator=generator).to(x.device)
    decoded, mean, logvar = model(x, noise, levels)
    error = decoded - x
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    squared = error.square().mean()
    loss = error.abs().mean() + 4 * squared + KL_WEIGHT * divergence
    if area is not None:
        mean = functional.avg_pool2d(error, area)
        loss = loss + 0.5 * (mean.abs().mean() + 4 * mean.square().mean())
    return {'loss': loss, 'psnr': 10 * torch.log10(4 / squared.detach()), 'divergence': divergence}


def psnr(autoencoder: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB of reconstructions, mean over pictures ``[N, 3, H, W]`` in [-1, 1]."""
    device = next(autoencoder.parameters()).device
    with torch.no_grad():
        parts = [part.to(device) for part in pictures.split(16)]
        decoded = [autoencoder.decode(autoencoder.encode(part)[0]).clamp(-1, 1).cpu() for part in parts]
    squared = (torch.cat(decoded) - pictures).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / squared)).mean())


def train_autoencoder(
    folder: Path,
    settings: LoopSettings = SETTINGS,
    decoder: LoopSettings = DECODER,
    pool: int = POOL,
    made_from: str = '',
) -> AutoencoderKL:
    """The trained autoencoder, from ``pool`` pictures.

    An interrupted training in ``folder`` is resumed if it has the same ``made_from``, see
    :func:`~modelscope_i2v.training.fingerprint.fingerprint`.
    """
    autoencoder = seeded(lambda: AutoencoderKL(**AUTOENCODER), settings.seed)
    bias: Any = autoencoder.quant_conv.bias
    bias.data[autoencoder.config.embed_dim :] = INITIAL_LOGVAR
    pictures = Pictures(pool)
    _fit(autoencoder, reconstruction_loss, pictures, settings, folder / 'both', made_from)
    return train_decoder(autoencoder, pictures, folder / 'decoder', decoder, made_from)


def train_decoder(
    autoencoder: AutoencoderKL,
    pictures: Pictures,
    folder: Path,
    settings: LoopSettings = DECODER,
    made_from: str = '',
    latent_noise: float = LATENT_NOISE,
    area: int | None = None,
) -> AutoencoderKL:
    """Train the decoder of a trained autoencoder further; the latents do not change."""
    autoencoder.requires_grad_(True)
    autoencoder.encoder.requires_grad_(False)
    autoencoder.quant_conv.requires_grad_(False)
    loss = partial(reconstruction_loss, latent_noise=latent_noise, area=area)
    return _fit(autoencoder, loss, pictures, settings, folder, made_from)


def train_decoder_2(
    autoencoder: AutoencoderKL,
    folder: Path,
    settings: LoopSettings = DECODER_2,
    pool: int = POOL,
    made_from: str = '',
) -> AutoencoderKL:
    """Train the decoder of stage 1's autoencoder further, for stage 2."""
    pictures = Pictures(pool, large=True)
    return train_decoder(autoencoder, pictures, folder, settings, made_from, LATENT_NOISE_2, AREA)


def _fit(
    autoencoder: AutoencoderKL, loss: Loss, pictures: Pictures, settings: LoopSettings, folder: Path, made_from: str
) -> AutoencoderKL:
    held_out = [make_clip(FIRST_HELD_OUT_SEED + n, num_frames=1, kind='sprite').frames for n in range(32)]
    larger = [make_clip(FIRST_HELD_OUT_SEED + n, num_frames=1, size=2 * SIDE, kind='sprite').frames for n in range(8)]
    sets = {'psnr_64': to_pixels(np.concatenate(held_out)), 'psnr_128': to_pixels(np.concatenate(larger))}

    def validate(step: int, log: TrainingLog | None) -> dict[str, float]:
        return {name: psnr(autoencoder, images) for name, images in sets.items()}

    model = Reconstruction(autoencoder).to(memory_format=torch.channels_last)  # faster on CPUs
    fit(model, loss, pictures, settings, folder, validate=validate, identity={MADE_FROM: made_from})
    return autoencoder.eval()


def latent_scale(autoencoder: AutoencoderKL, pictures: torch.Tensor) -> float:
    """The factor that gives latents of ``pictures`` ``[N, 3, H, W]`` unit variance."""
    with torch.no_grad():
        return 1 / float(autoencoder.encode(pictures.to(next(autoencoder.parameters()).device))[0].std())
