"""Euler's method on the probability-flow ODE (Karras et al. 2022, arXiv 2206.00364)."""

from __future__ import annotations

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.pure_noise import from_pure_noise
from modelscope_i2v.diffusion.samplers.steps import Callback, Sigmas, finish_step, iterate_steps


@torch.no_grad()
@from_pure_noise
def sample_euler(
    denoiser: Denoiser, x: torch.Tensor, sigmas: Sigmas, *, callback: Callback | None = None
) -> torch.Tensor:
    """``dx/dsigma = (x - x0) / sigma`` (equation 3 with sigma(t) = t), first order.

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
    for step in iterate_steps(sigmas):
        slope = (x - denoiser(x, step.sigma)) / step.sigma
        x = finish_step(callback, step, x + (step.sigma_next - step.sigma) * slope)
    return x
