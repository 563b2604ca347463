"""Noise schedules: how much signal and noise each of the 1000 training timesteps has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

NUM_TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True)
class NoiseSchedule:
    """A table of noise levels by timestep.

    Attributes:
        alphas_cumprod: float64 ``[T]``, falling: the share of variance that is signal. Latents at timestep ``t`` are
            ``sqrt(alphas_cumprod[t]) x0 + sqrt(1 - alphas_cumprod[t]) noise`` (Ho et al. 2020, equation 4).
    """

    alphas_cumprod: torch.Tensor

    @property
    def sigmas(self) -> torch.Tensor:
        """Noise-to-signal ratio ``sqrt((1 - a) / a)`` of each timestep, float64 ``[T]``, rising."""
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod).sqrt()

    def sigma(self, timesteps: Sequence[int]) -> torch.Tensor:
        """Sigmas of ``timesteps`` as float64 ``[len(timesteps)]``."""
        return self.sigmas[torch.as_tensor(timesteps, dtype=torch.long)]

    def timestep(self, sigma: torch.Tensor | float) -> int:
        """The timestep whose sigma is nearest in log space; exact for every sigma of the table."""
        distances = (self.sigmas.log() - torch.as_tensor(sigma, dtype=torch.float64).log()).abs()
        return int(distances.argmin())


def scaled_linear_schedule(beta_start: float = 0.00085, beta_end: float = 0.0120) -> NoiseSchedule:
    """Stage 1's schedule: betas linear in their square root (Rombach et al. 2022), 1000 steps, computed in float64."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, NUM_TRAIN_TIMESTEPS, dtype=torch.float64) ** 2
    return NoiseSchedule((1 - betas).cumprod(dim=0))


def signal_scale(sigma: torch.Tensor | float) -> torch.Tensor:
    """``1 / sqrt(1 + sigma^2)``: multiplies ``x = x0 + sigma noise`` into latents of unit variance; float64 scalar."""
    return torch.as_tensor(sigma, dtype=torch.float64).square().add(1).rsqrt()
