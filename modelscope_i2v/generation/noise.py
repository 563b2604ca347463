"""Where stochastic samplers get their noise from: ``(shape, sigmas, generator, device) -> (step -> noise)``."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modelscope_i2v.diffusion import brownian_noise
from modelscope_i2v.diffusion.samplers.steps import NoiseSource, Sigmas


def fresh_noise(shape: Sequence[int], sigmas: Sigmas, generator: torch.Generator, device: torch.device) -> NoiseSource:
    """New noise for every step, drawn on the CPU at that step."""
    return lambda _: torch.randn(tuple(shape), generator=generator).to(device)


def brownian_motion(
    shape: Sequence[int], sigmas: Sigmas, generator: torch.Generator, device: torch.device
) -> NoiseSource:
    """Increments of one Brownian motion, whose seed is the next draw of ``generator``."""
    entropy = int(torch.randint(0, 2**63 - 1, (), generator=generator))
    return brownian_noise(shape, sigmas, entropy, device)
