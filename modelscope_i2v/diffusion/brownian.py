"""Noise for SDE samplers from one Brownian motion: the same path, however many steps a sampler takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from modelscope_i2v.diffusion.samplers.steps import NoiseSource, Sigmas, Step

#: The tree's resolution in sigma.
TOLERANCE = 1e-6
#: The tree's pool of generator states (the default of torchsde.BrownianTree; it affects the values).
POOL_SIZE = 24
#: How many tensors in the shape of the noise the tree keeps; more is faster.
CACHED = 4


def brownian_noise(
    shape: Sequence[int], sigmas: Sigmas, entropy: int, device: torch.device | str = 'cpu'
) -> NoiseSource:
    """Unit noise for the steps between ``sigmas``: increments of a Brownian motion over sigma, scaled to variance 1.

    The tree (Li et al. 2020, arXiv 2001.01328, section 4) lives on the CPU in float32, so that ``entropy`` gives the
    same noise on every device.

    Args:
        shape: the shape of the noise.
        sigmas: the levels of the sampler; the motion runs from the smallest positive one to the largest finite one.
        entropy: the seed of the tree, 0 .. 2**63 - 1.
        device: the device that the noise is moved to.
    """
    import torchsde

    # Round as the tree does internally; otherwise its ends would not match the levels, and it would warn.
    levels = [_rounded(float(sigma)) for sigma in sigmas if math.isfinite(sigma)]
    low, high = min(level for level in levels if level > 0), max(levels)
    if low == high:
        # One step straight to sigma 0 needs no noise.
        return lambda step: torch.zeros(*shape, device=device)
    # Like torchsde.BrownianTree, but it keeps only a few tensors for the next query instead of fifty: the values are
    # the same, and the tensors of long videos are large.
    tree = torchsde.BrownianInterval(
        low,
        high,
        size=tuple(shape),
        dtype=torch.float32,
        device='cpu',
        entropy=entropy,
        tol=TOLERANCE,
        pool_size=POOL_SIZE,
        halfway_tree=True,
        cache_size=CACHED,
    )

    def noise(step: Step) -> torch.Tensor:
        # A sampler walks down, so its increment is minus the tree's.
        increment = -tree(_rounded(step.sigma_next), _rounded(step.sigma))
        out: torch.Tensor = (increment / math.sqrt(step.sigma - step.sigma_next)).to(device)
        return out

    return noise


def _rounded(sigma: float) -> float:
    return round(sigma, round(-math.log10(TOLERANCE)))
