"""The loop that all samplers share: pairs of sigmas, and a callback after each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from modelscope_i2v.errors import InputError

#: Noise levels, falling.
Sigmas = Sequence[float] | torch.Tensor
#: ``(step, sigma before, sigma after, x after) -> replacement for x or None``.
Callback = Callable[[int, float, float, torch.Tensor], 'torch.Tensor | None']


@dataclass(frozen=True)
class Step:
    """One step from noise level ``sigma`` down to ``sigma_next``."""

    index: int
    sigma: float
    sigma_next: float


#: ``step -> noise`` of unit variance in the shape of x.
NoiseSource = Callable[[Step], torch.Tensor]


def iterate_steps(sigmas: Sigmas, *, strictly: bool = True) -> Iterator[Step]:
    """The steps between neighbouring ``sigmas``.

    Raises:
        InputError: if there are fewer than two sigmas or if they do not fall (``strictly``: multistep solvers divide by
            the step size).
    """
    levels = [float(sigma) for sigma in sigmas]
    falling = all(a > b if strictly else a >= b for a, b in pairwise(levels))
    if len(levels) < 2 or not falling or levels[-1] < 0:
        raise InputError(
            f'A sampler needs at least two noise levels that {"strictly " if strictly else ""}fall towards 0, found '
            f'{levels[:4]}{" ..." if len(levels) > 4 else ""}. Use fewer steps or a different timestep_spacing.'
        )
    return (Step(index, *pair) for index, pair in enumerate(pairwise(levels)))


def finish_step(callback: Callback | None, step: Step, x: torch.Tensor) -> torch.Tensor:
    """Pass ``x`` after ``step`` to the callback, which may return a replacement."""
    replaced = None if callback is None else callback(step.index, step.sigma, step.sigma_next, x)
    return x if replaced is None else replaced
