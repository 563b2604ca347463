"""UniPC (Zhao et al. 2023, arXiv 2302.04867), data prediction, order 2, with ``B(h) = exp(h) - 1`` ("bh2")."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.pure_noise import from_pure_noise
from modelscope_i2v.diffusion.samplers.steps import Callback, Sigmas, Step, finish_step, iterate_steps


def _weights(ratios: Sequence[float], size: float) -> list[float]:
    """The weights of equation 5, one per ratio (the position of a known x0 in units of the step, 1 = its end).

    They solve ``sum_m weight_m ratio_m^(k-1) = k! phi_{k+1}(h) h / expm1(h)`` for ``k = 1 .. len(ratios)``, with
    ``h = -size``, ``phi_1(h) = expm1(h) / h`` and ``phi_{k+1}(h) = (phi_k(h) - 1 / k!) / h``.
    """
    h = -size
    phi = math.expm1(h) / h
    targets = []
    for k in range(1, len(ratios) + 1):
        phi = (phi - 1 / math.factorial(k)) / h
        targets.append(phi * math.factorial(k) * h / math.expm1(h))
    powers = torch.tensor([[ratio**k for ratio in ratios] for k in range(len(ratios))], dtype=torch.float64)
    weights: list[float] = torch.linalg.solve(powers, torch.tensor(targets, dtype=torch.float64)).tolist()
    return weights


def _advance(
    step: Step, x: torch.Tensor, x0: torch.Tensor, slopes: Sequence[torch.Tensor], ratios: Sequence[float]
) -> torch.Tensor:
    """Move ``x`` from ``step.sigma`` to ``step.sigma_next``; ``slopes`` are ``(x0_m - x0) / ratio_m``."""
    size = math.log(step.sigma / step.sigma_next)
    decay = math.expm1(-size)
    x = step.sigma_next / step.sigma * x - decay * x0
    for weight, slope in zip(_weights(ratios, size), slopes, strict=True) if ratios else ():
        x = x - decay * weight * slope
    return x


@torch.no_grad()
@from_pure_noise
def sample_unipc(
    denoiser: Denoiser, x: torch.Tensor, sigmas: Sigmas, *, callback: Callback | None = None
) -> torch.Tensor:
    """UniPC-2: a second-order predictor whose result is corrected by the evaluation that the next step needs anyway.

    One evaluation per step; order 3 in ``lambda = -log sigma`` (theorem 3.1). The first step's predictor is
    first-order, and a step to sigma 0 returns the estimate of x0.

    Raises:
        InputError: for sigmas that do not strictly fall.
    """
    last: tuple[Step, torch.Tensor, torch.Tensor] | None = None  # the last step, x at its start and x0 there
    older: tuple[float, torch.Tensor] | None = None  # sigma and x0 one evaluation before that
    for step in iterate_steps(sigmas):
        x0 = denoiser(x, step.sigma)
        if last is not None:
            previous_step, previous_x, previous_x0 = last
            slopes, ratios = _history(previous_step, previous_x0, older)
            x = _advance(previous_step, previous_x, previous_x0, [*slopes, x0 - previous_x0], [*ratios, 1.0])
            older = (previous_step.sigma, previous_x0)
        last = (step, x, x0)
        if step.sigma_next == 0:
            x = x0
        else:
            slopes, ratios = _history(step, x0, older)
            x = _advance(step, x, x0, slopes, ratios)
        predicted = x
        x = finish_step(callback, step, predicted)
        if x is not predicted:  # a callback has replaced x: there is nothing left to correct
            last, older = None, (step.sigma, x0)
    return x


def _history(
    step: Step, x0: torch.Tensor, older: tuple[float, torch.Tensor] | None
) -> tuple[list[torch.Tensor], list[float]]:
    if older is None:
        return [], []
    sigma, x0_older = older
    ratio = math.log(step.sigma / sigma) / math.log(step.sigma / step.sigma_next)
    # lambda = -log sigma, so an older (larger) sigma lies at a negative ratio.
    return [(x0_older - x0) / ratio], [ratio]
