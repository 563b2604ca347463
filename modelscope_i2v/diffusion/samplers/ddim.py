"""DDIM (Song et al. 2021, arXiv 2010.02502)."""

from __future__ import annotations

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.pure_noise import from_pure_noise
from modelscope_i2v.diffusion.samplers.steps import Callback, NoiseSource, Sigmas, finish_step, iterate_steps
from modelscope_i2v.errors import InputError


@torch.no_grad()
@from_pure_noise
def sample_ddim(
    denoiser: Denoiser,
    x: torch.Tensor,
    sigmas: Sigmas,
    *,
    eta: float = 0.0,
    noise: NoiseSource | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """DDIM, equation 12, with the stochasticity ``eta`` of equation 16 (0: an ODE step, 1: ancestral as in DDPM).

    In terms of sigma, the fresh noise of a step has the standard deviation
    ``eta * sigma' / sigma * sqrt(sigma^2 - sigma'^2)``.

    Args:
        noise: ``step -> unit noise`` in the shape of ``x``; required if ``eta`` is above 0, otherwise never called.

    Raises:
        InputError: for sigmas that rise, or for ``eta`` above 0 without ``noise``.
    """
    if eta > 0 and noise is None:
        raise InputError('DDIM with eta above 0 is stochastic: pass a source of noise.')
    for step in iterate_steps(sigmas, strictly=False):
        x0 = denoiser(x, step.sigma)
        direction = (x - x0) / step.sigma
        fresh = eta * step.sigma_next / step.sigma * max(step.sigma**2 - step.sigma_next**2, 0.0) ** 0.5
        x = x0 + max(step.sigma_next**2 - fresh**2, 0.0) ** 0.5 * direction
        if eta > 0 and noise is not None:
            x = x + fresh * noise(step)
        x = finish_step(callback, step, x)
    return x
