"""A sampler as a stage offers it: the function, and everything that a call needs to know about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modelscope_i2v.diffusion import brownian_noise
from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.samplers.steps import Callback, NoiseSource, Sigmas

#: ``(shape, sigmas, generator, device) -> (step -> noise)``: where a stochastic sampler gets its noise from.
NoiseFactory = Callable[[Sequence[int], Sigmas, torch.Generator, torch.device], NoiseSource]


def fresh_noise(shape: Sequence[int], sigmas: Sigmas, generator: torch.Generator, device: torch.device) -> NoiseSource:
    """New noise for every step, drawn on the CPU at that step."""
    return lambda _: torch.randn(tuple(shape), generator=generator).to(device)


def brownian_motion(
    shape: Sequence[int], sigmas: Sigmas, generator: torch.Generator, device: torch.device
) -> NoiseSource:
    """Increments of one Brownian motion, whose seed is the next draw of ``generator``."""
    entropy = int(torch.randint(0, 2**63 - 1, (), generator=generator))
    return brownian_noise(shape, sigmas, entropy, device)


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One entry of a stage's table of solvers.

    Attributes:
        sample: the function, ``(denoiser, x, sigmas, *, callback, ...) -> x``.
        steps: the number of steps, unless a call sets another.
        noise: makes the ``noise`` that the function takes; None if it takes none.
        takes: further arguments of a call that the function takes.
        leading_from: with this many steps or more, timesteps are spaced "leading" by default; None: always "trailing".
        drop_penultimate: whether the second-to-last timestep is left out, which makes the final step a long one.
    """

    sample: Callable[..., torch.Tensor]
    steps: int
    noise: NoiseFactory | None = None
    takes: tuple[str, ...] = ()
    leading_from: int | None = None
    drop_penultimate: bool = False

    def default_spacing(self, steps: int) -> str:
        """``'leading'`` or ``'trailing'``, for this number of steps."""
        return 'leading' if self.leading_from is not None and steps >= self.leading_from else 'trailing'

    def run(
        self,
        denoiser: Denoiser,
        x: torch.Tensor,
        sigmas: Sigmas,
        *,
        arguments: Any,
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> torch.Tensor:
        """Sample from ``x`` ``[B, C, F, h, w]`` at ``sigmas[0]`` down to ``sigmas[-1]``.

        Args:
            arguments: the arguments of the call.
            generator: the source of all further draws.
        """
        options = {name: getattr(arguments, name) for name in self.takes}
        if self.noise is not None:
            options['noise'] = self.noise(x.shape, sigmas, generator, x.device)
        return self.sample(denoiser, x, sigmas, callback=callback, **options)
