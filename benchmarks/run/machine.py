"""The machine that measures: time and memory of calls on its device, and what it can do at best."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F

from modelscope_i2v.runtime.device import has_native_bf16

PRECISIONS = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}
#: Relative differences that rounding explains, after a pass or a whole loop of the network.
BOUNDS = {'fp32': 1e-3, 'fp16': 0.05, 'bf16': 0.1}
PEAK_ROUNDS = 5


@dataclass(frozen=True)
class Machine:
    """A device, and how often calls are repeated there."""

    device: torch.device
    rounds: int

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a GPU with CUDA."""
        return self.device.type == 'cuda'

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that are worth measuring here: float32, and half precision if the device computes in it."""
        if self.on_cuda:
            return 'fp32', 'bf16' if torch.cuda.get_device_capability(self.device) >= (8, 0) else 'fp16'
        return ('fp32', 'bf16') if has_native_bf16(self.device) else ('fp32',)

    def synchronise(self) -> None:
        """Wait until the device has computed everything."""
        if self.on_cuda:
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], Any]) -> float:
        """The time of one call: on a CPU that of its cores, which does not depend on what else is running."""
        clock = time.perf_counter if self.on_cuda else time.process_time
        self.synchronise()
        start = clock()
        call()
        self.synchronise()
        return clock() - start

    def seconds_in_turn(
        self, calls: Mapping[str, Callable[[], Any]], rounds: int | None = None, *, warm: bool = False
    ) -> dict[str, float]:
        """The median time of each call, after one round that warms up, unless they are ``warm``."""
        for call in () if warm else calls.values():
            call()
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds or self.rounds):
            for name, call in calls.items():
                taken[name].append(self.seconds(call))
        return {name: statistics.median(values) for name, values in taken.items()}

    def free(self) -> None:
        """Give back memory that nobody uses."""
        gc.collect()
        if self.on_cuda:
            torch.cuda.empty_cache()

    def peak_bytes(self, call: Callable[[], Any]) -> int:
        """The most memory that a call takes on a GPU, beyond what is there before."""
        self.free()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        call()
        self.synchronise()
        return torch.cuda.max_memory_allocated(self.device) - before

    @cached_property
    def peaks(self) -> dict[str, dict[str, float]]:
        """Operations per second of large matrix products and convolutions, by precision."""
        return {name: self._peaks(PRECISIONS[name]) for name in self.precisions}

    @torch.no_grad()
    def _peaks(self, dtype: torch.dtype) -> dict[str, float]:
        side, frames, height, width = (8192, 32, 90, 160) if self.on_cuda else (1024, 1, 32, 56)
        matrix = torch.randn(side, side, device=self.device, dtype=dtype)
        pixels = torch.randn(frames, 320, height, width, device=self.device, dtype=dtype)
        kernel = torch.randn(320, 320, 3, 3, device=self.device, dtype=dtype)
        calls = {'matmul': lambda: matrix @ matrix, 'conv': lambda: F.conv2d(pixels, kernel, padding=1)}
        work = {'matmul': 2 * side**3, 'conv': 2 * pixels.numel() * 320 * 9}
        seconds = self.seconds_in_turn(calls, PEAK_ROUNDS)
        return {name: work[name] / seconds[name] for name in calls}

    def described(self) -> dict[str, Any]:
        """What a reader needs to know of it."""
        name = torch.cuda.get_device_name(self.device) if self.on_cuda else platform.processor() or platform.machine()
        return {
            'device': str(self.device),
            'name': name,
            'memory': torch.cuda.get_device_properties(self.device).total_memory if self.on_cuda else None,
            'cores': os.cpu_count(),
            'threads': torch.get_num_threads(),
            'torch': torch.__version__,
            'cuda': torch.version.cuda,
            'peaks': self.peaks,
        }
