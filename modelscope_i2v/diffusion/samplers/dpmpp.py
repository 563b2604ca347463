"""DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

import math

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.steps import Callback, NoiseSource, Sigmas, finish_step, iterate_steps


@torch.no_grad()
def sample_dpmpp_2m(
    denoiser: Denoiser, x: torch.Tensor, sigmas: Sigmas, *, callback: Callback | None = None
) -> torch.Tensor:
    """DPM-Solver++(2M), algorithm 2: second order in ``lambda = -log sigma`` with one evaluation a step.

    The first step is first-order, and so is a step to sigma 0, where lambda is infinite: it gives the estimate of x0.

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
    return _sample(denoiser, x, sigmas, None, callback)


@torch.no_grad()
def sample_dpmpp_2m_sde(
    denoiser: Denoiser,
    x: torch.Tensor,
    sigmas: Sigmas,
    *,
    noise: NoiseSource,
    callback: Callback | None = None,
) -> torch.Tensor:
    """SDE-DPM-Solver++(2M), equation 14: as :func:`sample_dpmpp_2m`, with fresh noise in every step but one to sigma 0.

    Args:
        noise: ``step -> unit noise`` in the shape of ``x``, for example increments of a Brownian motion over sigma
            (:func:`~modelscope_i2v.diffusion.brownian.brownian_noise`).

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
    return _sample(denoiser, x, sigmas, noise, callback)


def _sample(
    denoiser: Denoiser,
    x: torch.Tensor,
    sigmas: Sigmas,
    noise: NoiseSource | None,
    callback: Callback | None,
) -> torch.Tensor:
    previous: torch.Tensor | None = None
    previous_size = 0.0
    for step in iterate_steps(sigmas):
        x0 = denoiser(x, step.sigma)
        if step.sigma_next == 0:
            x = x0
        else:
            size = math.log(step.sigma / step.sigma_next)
            extrapolated = x0
            if previous is not None:
                extrapolated = x0 + (x0 - previous) * (size / (2 * previous_size))
            # The SDE forgets twice as fast as the ODE and fills up with noise what it forgets.
            forgotten = -math.expm1(-size if noise is None else -2 * size)
            x = step.sigma_next / step.sigma * math.exp(0 if noise is None else -size) * x + forgotten * extrapolated
            if noise is not None:
                x = x + step.sigma_next * math.sqrt(forgotten) * noise(step)
            previous_size = size
        previous = x0
        x = finish_step(callback, step, x)
    return x
