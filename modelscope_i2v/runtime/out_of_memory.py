"""Running out of memory: one error for all devices, with advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from modelscope_i2v.errors import DeviceError

#: Signs of running out of memory in messages of plain RuntimeErrors, which torch raises, too.
_SIGNS = ('DefaultCPUAllocator', 'MPS backend out of memory')


@contextmanager
def memory_errors(advice: str | Callable[[], str]) -> Iterator[None]:
    """Turn an "out of memory" error of any device into a DeviceError that ends in ``advice``, or in what it returns."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(error, advice) from error
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS):
            raise
        raise _out_of_memory(error, advice) from error


def _out_of_memory(error: Exception, advice: str | Callable[[], str]) -> DeviceError:
    return DeviceError(f'Out of memory: {error} {advice() if callable(advice) else advice}')
