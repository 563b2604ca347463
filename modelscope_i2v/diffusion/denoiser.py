"""From a network's prediction to an estimate of the clean latents."""

from __future__ import annotations

from collections.abc import Callable

import torch

from modelscope_i2v.diffusion.guidance import Network
from modelscope_i2v.diffusion.schedules import NoiseSchedule, signal_scale

#: ``(x = x0 + sigma * noise, sigma) -> estimate of x0``.
Denoiser = Callable[[torch.Tensor, float], torch.Tensor]


def denoiser_on(device: torch.device, denoiser: Denoiser) -> Denoiser:
    """``denoiser``, which works on ``device``, for an ``x`` anywhere; the estimates come back to where that is."""
    return lambda x, sigma: denoiser(x.to(device), sigma).to(x.device)


def v_prediction_denoiser(network: Network, schedule: NoiseSchedule) -> Denoiser:
    """A denoiser from a network that predicts ``v = alpha noise - sigma_vp x0`` (Salimans and Ho 2022, appendix D).

    The network sees ``latents = x / sqrt(1 + sigma^2)`` and the nearest timestep of the schedule, whose coefficients
    give ``x0 = alphas[t] latents - sigmas_vp[t] v``.
    """
    alphas, sigmas_vp = schedule.alphas.tolist(), schedule.sigmas_vp.tolist()

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        latents = float(signal_scale(sigma)) * x
        timestep = schedule.timestep(sigma)
        out: torch.Tensor = alphas[timestep] * latents - sigmas_vp[timestep] * network(latents, timestep)
        return out

    return denoise
