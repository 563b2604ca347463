"""Running out of memory: one error for all devices, with advice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from modelscope_i2v.errors import DeviceError

#: Signs of running out of memory in messages of plain RuntimeErrors, which torch raises, too.
_SIGNS = ('DefaultCPUAllocator', 'MPS backend out of memory')


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turn an "out of memory" error of any device into a DeviceError that ends in ``advice``."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise DeviceError(f'Out of memory: {error} {advice}') from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS):
            raise
        raise DeviceError(f'Out of memory: {error} {advice}') from error
