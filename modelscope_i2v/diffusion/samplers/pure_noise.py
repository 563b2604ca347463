"""Starting without any signal, where sigma is infinite: the first step is the same for all samplers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.steps import Callback, Sigmas, Step, finish_step

Sample = TypeVar('Sample', bound=Callable[..., torch.Tensor])


def from_pure_noise(sample: Sample) -> Sample:
    """Let a sampler start at an infinite sigma, where ``x`` is the noise itself, of unit variance.

    There, ``x / sigma`` is the noise, whatever ``x0`` is. So in the limit, a first-order step of any solver leads to
    ``x0 + sigma_next * noise``. It is deterministic for stochastic solvers, too: all that ``x`` holds is fresh noise.
    """

    @functools.wraps(sample)
    def started(
        denoiser: Denoiser, x: torch.Tensor, sigmas: Sigmas, *, callback: Callback | None = None, **options: Any
    ) -> torch.Tensor:
        levels, done = [float(sigma) for sigma in sigmas], 0
        while len(levels) > done + 1 and math.isinf(levels[done]):
            step = Step(done, levels[done], levels[done + 1])
            if math.isfinite(step.sigma_next):  # else a step that leads nowhere
                x = denoiser(x, step.sigma) + step.sigma_next * x
            x, done = finish_step(callback, step, x), done + 1
        if done == 0:
            return sample(denoiser, x, sigmas, callback=callback, **options)
        if len(levels) == done + 1:
            return x

        def later(index: int, *rest: Any) -> torch.Tensor | None:
            return None if callback is None else callback(index + done, *rest)

        return sample(denoiser, x, levels[done:], callback=later, **options)

    return cast(Sample, started)
