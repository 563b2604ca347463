"""Heun's method on the probability-flow ODE (Karras et al. 2022, arXiv 2206.00364, algorithm 1)."""

from __future__ import annotations

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.pure_noise import from_pure_noise
from modelscope_i2v.diffusion.samplers.steps import Callback, Sigmas, finish_step, iterate_steps


@torch.no_grad()
@from_pure_noise
def sample_heun(
    denoiser: Denoiser, x: torch.Tensor, sigmas: Sigmas, *, callback: Callback | None = None
) -> torch.Tensor:
    """Second order with two evaluations per step; a step to sigma 0 is an Euler step, with one.

    Raises InputError for sigmas that do not strictly fall.
    """
    for step in iterate_steps(sigmas):
        size = step.sigma_next - step.sigma
        slope = (x - denoiser(x, step.sigma)) / step.sigma
        if step.sigma_next > 0:
            ahead = x + size * slope
            slope = (slope + (ahead - denoiser(ahead, step.sigma_next)) / step.sigma_next) / 2
        x = finish_step(callback, step, x + size * slope)
    return x
