"""Distances between latents, and CPU times."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def distance(x: torch.Tensor, exact: torch.Tensor) -> float:
    """The relative root mean square of the difference."""
    return float((x - exact).square().mean().sqrt() / exact.square().mean().sqrt())


def seconds_in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The least CPU time of each call."""
    best = dict.fromkeys(calls, float('inf'))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return best
