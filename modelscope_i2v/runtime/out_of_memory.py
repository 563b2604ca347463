"""Running out of memory: one error for all devices, with advice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from modelscope_i2v.errors import DeviceError

#: How torch says so where it raises a plain RuntimeError.
_SIGNS = ('DefaultCPUAllocator', 'MPS backend out of memory')


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turn "out of memory" of any device into a DeviceError that ends in ``advice``."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise DeviceError(f'Out of memory: {error} {advice}') from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS):
            raise
        raise DeviceError(f'Out of memory: {error} {advice}') from error
