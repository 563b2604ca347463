"""From a network's prediction to an estimate of the clean latents."""

from __future__ import annotations

from collections.abc import Callable

import torch

from modelscope_i2v.diffusion.guidance import Network
from modelscope_i2v.diffusion.schedules import NoiseSchedule, signal_scale

#: ``(x = x0 + sigma * noise, sigma) -> estimate of x0``.
Denoiser = Callable[[torch.Tensor, float], torch.Tensor]


def v_prediction_denoiser(network: Network, schedule: NoiseSchedule) -> Denoiser:
    """A denoiser from a network that predicts ``v = alpha noise - sigma_vp x0`` (Salimans and Ho 2022, appendix D).

    With ``alpha = 1 / sqrt(1 + sigma^2)`` the network sees ``latents = alpha x`` and
    ``x0 = alpha latents - alpha sigma v``.
    """

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        alpha = float(signal_scale(sigma))
        latents = alpha * x
        return alpha * latents - (alpha * sigma) * network(latents, schedule.timestep(sigma))

    return denoise
