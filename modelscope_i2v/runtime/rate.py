"""How many floating-point operations per second a device computes: as given, or measured."""

from __future__ import annotations

import math
import re
import time
from contextlib import suppress

import torch

from modelscope_i2v.errors import InputError, shown

MEASURED = 'measured'
_RATE = re.compile(r'([0-9]{1,6}(?:\.[0-9]{1,6})?(?:e[0-9]{1,2})?) ?([GTP]?)(?:FLOPS|FLOP/s)?', re.IGNORECASE)
_UNITS = {'': 1.0, 'G': 1e9, 'T': 1e12, 'P': 1e15}
#: Sides of the matrices that are multiplied, large enough to keep a device busy.
_SIDE = {'cuda': 8192, 'cpu': 1024}
#: Seconds that a measurement takes at least.
_LONG_ENOUGH = 0.5


def resolve_rate(rate: float | str | None) -> float | str | None:
    """A number of operations per second, also from a text such as ``'50T'``; ``'measured'`` and None stay.

    Raises:
        InputError: for anything else.
    """
    if rate is None or rate == MEASURED:
        return rate
    number = math.nan
    if isinstance(rate, (int, float)) and not isinstance(rate, bool):
        with suppress(OverflowError):  # a whole number of hundreds of digits
            number = float(rate)
    elif isinstance(rate, str) and (match := _RATE.fullmatch(rate)):
        number = float(match[1]) * _UNITS[match[2].upper()]
    if not 0 < number < math.inf:
        raise InputError(
            f"'rate' must be a number of operations per second such as '50T' or 5e13, or 'measured', found "
            f'{shown(rate)}.'
        )
    return number


def measured_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of ``device`` in products of large matrices, on a CPU always in float32.

    Networks reach a part of it.
    """
    dtype = torch.float32 if device.type == 'cpu' else dtype
    side = _SIDE.get(device.type, 4096)
    one, other = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    count, seconds = 1, 0.0
    while seconds < _LONG_ENOUGH:
        count *= 2
        one @ other
        _wait(device)
        start = time.perf_counter()
        for _ in range(count):
            one @ other
        _wait(device)
        seconds = time.perf_counter() - start
    return 2 * side**3 * count / seconds


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    elif device.type == 'mps':
        torch.mps.synchronize()
