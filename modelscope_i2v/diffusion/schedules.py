"""Noise schedules: how much signal and noise each of the 1000 training timesteps has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from modelscope_i2v.terms import NUM_TRAIN_TIMESTEPS


@dataclass(frozen=True)
class NoiseSchedule:
    """A table of noise levels by timestep.

    Latents at timestep ``t`` are ``alphas[t] x0 + sigmas_vp[t] noise`` (Ho et al. 2020, equation 4, where ``alphas``
    squared is called alpha-bar); ``sigmas`` is the ratio of noise to signal, the scale that samplers use.

    Attributes:
        sigmas_vp: ``[T]``, rising within 0..1. Everything is computed in its dtype: the checkpoints were trained with
            tables of that precision.
    """

    sigmas_vp: torch.Tensor

    @property
    def alphas(self) -> torch.Tensor:
        """The share of signal ``sqrt(1 - sigmas_vp^2)`` of each timestep, ``[T]``."""
        return (1 - self.sigmas_vp**2).sqrt()

    @property
    def sigmas(self) -> torch.Tensor:
        """Noise-to-signal ratio of each timestep, ``[T]``; infinite where there is no signal."""
        return (self.sigmas_vp**2 / (1 - self.sigmas_vp**2)).sqrt()

    def sigma(self, timesteps: Sequence[float]) -> torch.Tensor:
        """Sigmas of ``timesteps``, whole or not, interpolated in log space: ``[len(timesteps)]``."""
        t = torch.tensor(timesteps, dtype=self.sigmas_vp.dtype)
        logs, low, weight = self.sigmas.log(), t.floor().long(), t.frac()
        interpolated = torch.lerp(logs[low], logs[t.ceil().long()], weight)
        return torch.where(weight == 0, logs[low], interpolated).exp()

    def timestep(self, sigma: float) -> int:
        """The timestep nearest to ``sigma`` in log space; exact for every sigma of the table."""
        if math.isinf(sigma):
            return len(self.sigmas_vp) - 1
        logs = self.sigmas.log()
        log_sigma = torch.tensor(sigma, dtype=logs.dtype).log()
        low = int((logs[:-1] <= log_sigma).sum().clamp(min=1)) - 1
        step = logs[low + 1] - logs[low]
        return low + int(((log_sigma - logs[low]) / step).clamp(0, 1).round())


def scaled_linear_schedule(beta_start: float = 0.00085, beta_end: float = 0.0120) -> NoiseSchedule:
    """Stage 1: betas linear in their square root (Rombach et al. 2022), float64."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, NUM_TRAIN_TIMESTEPS, dtype=torch.float64) ** 2
    return NoiseSchedule((1 - (1 - betas).cumprod(dim=0)).sqrt())


def logsnr_cosine_interp_schedule(
    logsnr_min: float = -15.0, logsnr_max: float = 15.0, scale_min: float = 2.0, scale_max: float = 4.0
) -> NoiseSchedule:
    """Stage 2: a cosine in log-SNR whose shift for larger images grows with the noise, float32.

    The log-SNR of a cosine schedule, ``-2 log tan(...)``, is shifted by ``2 log(1 / scale)`` (Hoogeboom et al. 2023,
    "simple diffusion", arXiv 2301.11093, section 2.1) with ``scale`` between ``scale_min`` without noise and
    ``scale_max`` at full noise. Finally, sigmas are stretched so that the noisiest timestep has no signal at all (Lin
    et al. 2023, arXiv 2305.08891).
    """
    t_min, t_max = math.atan(math.exp(-0.5 * logsnr_min)), math.atan(math.exp(-0.5 * logsnr_max))
    t = torch.linspace(1, 0, NUM_TRAIN_TIMESTEPS, dtype=torch.float32)
    cosine = -2 * torch.log(torch.tan(t_min + t * (t_max - t_min)))
    shifted = [cosine + 2 * math.log(1 / scale) for scale in (scale_min, scale_max)]
    sigmas = torch.sigmoid(-(t * shifted[0] + (1 - t) * shifted[1])).sqrt()
    stretch = (1 - sigmas.min()) / (sigmas.max() - sigmas.min())
    return NoiseSchedule(sigmas.min() + stretch * (sigmas - sigmas.min()))


def zero_snr_cosine_schedule(offset: float = 0.008, max_beta: float = 0.999) -> NoiseSchedule:
    """The second generation of image-to-video: a cosine whose noisiest timestep has no signal at all, float64.

    The squared share of signal follows ``cos^2((t + offset) / (1 + offset) pi / 2)``, with betas of at most
    ``max_beta`` (Nichol and Dhariwal 2021, arXiv 2102.09672, equation 17). Then the shares of signal are shifted and
    stretched, so that the last one is 0 and the first one stays (Lin et al. 2023, arXiv 2305.08891, algorithm 1).
    """
    t = torch.arange(NUM_TRAIN_TIMESTEPS + 1, dtype=torch.float64) / NUM_TRAIN_TIMESTEPS
    cosine = ((t + offset) / (1 + offset) * (math.pi / 2)).cos() ** 2
    alphas = (cosine[1:] / cosine[:-1]).clamp(min=1 - max_beta).cumprod(dim=0).sqrt()
    stretched = (alphas - alphas[-1]) * (alphas[0] / (alphas[0] - alphas[-1]))
    return NoiseSchedule((1 - stretched**2).sqrt())


def add_noise(clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
    """Latents of unit variance at ``sigma``: ``(clean + sigma noise) / sqrt(1 + sigma^2)``, in the shape of ``noise``.

    Sampling that starts from them instead of noise alone keeps what is coarser than the noise, and changes the rest
    (Meng et al. 2022, "SDEdit", arXiv 2108.01073).

    Args:
        clean: latents that broadcast to ``noise`` ``[B, C, F, h, w]``, such as a picture ``[B, C, 1, h, w]``.
        sigma: finite, at least 0.
    """
    signal = float(signal_scale(sigma))
    return signal * clean + float(sigma) * signal * noise


def signal_scale(sigma: torch.Tensor | float) -> torch.Tensor:
    """``1 / sqrt(1 + sigma^2)``: multiplies ``x = x0 + sigma noise`` into latents of unit variance; float64 scalar.

    1 for an infinite sigma, where samplers carry the noise itself, of unit variance.
    """
    levels = torch.as_tensor(sigma, dtype=torch.float64)
    return levels.square().add(1).rsqrt().where(levels.isfinite(), 1.0)
