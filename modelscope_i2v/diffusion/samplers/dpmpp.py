"""DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.steps import Callback, finish_step, iterate_steps


@torch.no_grad()
def sample_dpmpp_2m(
    denoiser: Denoiser,
    x: torch.Tensor,
    sigmas: Sequence[float] | torch.Tensor,
    *,
    callback: Callback | None = None,
) -> torch.Tensor:
    """DPM-Solver++(2M), algorithm 2: second order in ``lambda = -log sigma`` with one evaluation a step.

    The first step is first-order, and so is a step to sigma 0, where lambda is infinite: it gives the estimate of x0.

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
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
            x = step.sigma_next / step.sigma * x - math.expm1(-size) * extrapolated
            previous_size = size
        previous = x0
        x = finish_step(callback, step, x)
    return x
