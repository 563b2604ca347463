"""DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

import math

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.pure_noise import from_pure_noise
from modelscope_i2v.diffusion.samplers.steps import Callback, NoiseSource, Sigmas, finish_step, iterate_steps


@torch.no_grad()
@from_pure_noise
def sample_dpmpp_2m(
    denoiser: Denoiser, x: torch.Tensor, sigmas: Sigmas, *, callback: Callback | None = None
) -> torch.Tensor:
    """DPM-Solver++(2M), algorithm 2: second order in ``lambda = -log sigma`` with one evaluation per step.

    The first step is first-order. So is a step to sigma 0, where lambda is infinite: it returns the estimate of x0.

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
    previous: tuple[float, torch.Tensor] | None = None
    for step in iterate_steps(sigmas):
        x0 = denoiser(x, step.sigma)
        if step.sigma_next == 0:
            x = x0
        else:
            size = math.log(step.sigma / step.sigma_next)
            x = step.sigma_next / step.sigma * x - math.expm1(-size) * _extrapolated(x0, previous, size)
            previous = (size, x0)
        x = finish_step(callback, step, x)
    return x


@torch.no_grad()
@from_pure_noise
def sample_dpmpp_2m_sde(
    denoiser: Denoiser,
    x: torch.Tensor,
    sigmas: Sigmas,
    *,
    noise: NoiseSource,
    callback: Callback | None = None,
) -> torch.Tensor:
    """SDE-DPM-Solver++(2M), equation 14: :func:`sample_dpmpp_2m` with fresh noise in every step except to sigma 0.

    Args:
        noise: ``step -> unit noise`` in the shape of ``x``, for example increments of a Brownian motion over sigma
            (:func:`~modelscope_i2v.diffusion.brownian.brownian_noise`).

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
    previous: tuple[float, torch.Tensor] | None = None
    for step in iterate_steps(sigmas):
        x0 = denoiser(x, step.sigma)
        if step.sigma_next == 0:
            x = x0
        else:
            size = math.log(step.sigma / step.sigma_next)
            # The SDE forgets twice as fast as the ODE, and replaces what it forgets with noise.
            forgotten = -math.expm1(-2 * size)
            kept = step.sigma_next / step.sigma * math.exp(-size)
            x = kept * x + forgotten * _extrapolated(x0, previous, size)
            x = x + step.sigma_next * math.sqrt(forgotten) * noise(step)
            previous = (size, x0)
        x = finish_step(callback, step, x)
    return x


def _extrapolated(x0: torch.Tensor, previous: tuple[float, torch.Tensor] | None, size: float) -> torch.Tensor:
    """Extrapolate ``x0`` half a step, using the previous step, whose size may differ; the first returns ``x0``."""
    if previous is None:
        return x0
    previous_size, previous_x0 = previous
    return x0 + (x0 - previous_x0) * (size / (2 * previous_size))
