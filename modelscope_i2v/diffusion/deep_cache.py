"""Reuse of a network's deep features in neighbouring steps (Ma et al. 2023, "DeepCache", arXiv 2312.00858)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from modelscope_i2v.diffusion.guidance import Network

#: ``(latents, timestep, deep features or None) -> (raw output, deep features)``. Given features, the network computes
#: only what is outside of them, and returns them again.
DeepNetwork = Callable[[torch.Tensor, int, Any], tuple[torch.Tensor, Any]]


class _Clock:
    """Counts the different timesteps that follow each other.

    Attributes:
        windows: the calls of one network at the first timestep. Further calls at a later one are further evaluations of
            it, as Heun's method makes.
    """

    def __init__(self) -> None:
        self.now = -1
        self.timestep: int | None = None
        self.windows = 1

    def at(self, timestep: int) -> int:
        if timestep != self.timestep:
            self.now, self.timestep = self.now + 1, timestep
        return self.now


def reuse_deep_features(interval: int, *networks: DeepNetwork) -> list[Network]:
    """Networks that compute their deep features in one of ``interval`` steps, and reuse them in the others.

    Each network keeps its own features, and those of each temporal window apart. All count the same steps: features
    that are ``interval`` steps old are never used, even if their network was not called in between. With an
    ``interval`` of 1, nothing is ever reused.

    Args:
        interval: at least 1.
        networks: those that are called in one and the same run of a sampler, such as both passes of guidance. The
            results are for that run only: the next one needs its own.
    """
    clock = _Clock()
    return [_reusing(interval, network, clock) for network in networks]


def _reusing(interval: int, network: DeepNetwork, clock: _Clock) -> Network:
    kept: list[tuple[int, Any]] = []  # one entry per window: the step of the features, and the features
    last, calls = -1, 0

    def reusing(latents: torch.Tensor, timestep: int) -> torch.Tensor:
        nonlocal last, calls
        now = clock.at(timestep)
        calls, last = (calls + 1 if now == last else 1), now
        if now == 0:
            clock.windows = max(clock.windows, calls)
        # In one step, windows come in the same order as in the step before.
        index = (calls - 1) % clock.windows
        known = index < len(kept)
        if known and now - kept[index][0] < interval:
            return network(latents, timestep, kept[index][1])[0]
        if known:
            kept[index] = now, None  # not to be in memory beside the new ones
        predicted, deep = network(latents, timestep, None)
        kept[index : index + 1] = [(now, deep)]
        return predicted

    return reusing
