"""Run a layer on a slice of its input at a time, so that what it computes on the way takes little memory.

Most layers treat every frame, or every row of pixels, without looking at the others. Their result is the same whether
they get all of them at once or one after the other. But a transformer computes up to 20 times the size of its input on
the way, and of that only one slice has to be in memory.

How an input is cut follows from its shape and the kind of device, never from the memory that is free: the same call
gives the same numbers on every day. Matrix products of fewer rows may be summed in another order, which changes the
last bits of large inputs. Small inputs are not cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

#: Values of a slice at most, if it has more than one frame or row. Less would cost time, and save next to nothing.
SLICE_VALUES = 2**21
#: The same on a CPU. Memory for larger ones comes from the operating system page by page and goes back at once, which
#: takes a tenth of a pass.
CPU_SLICE_VALUES = 2**19
#: Large inputs are cut into no more slices than this, which are larger then. What a transformer computes on the way for
#: one of them is smaller than its input, so more slices would only cost time.
MAX_SLICES = 32


def slice_limit(device: torch.device) -> int:
    """Values of a slice at most, on a device."""
    return min(SLICE_VALUES, CPU_SLICE_VALUES) if device.type == 'cpu' else SLICE_VALUES


def slice_length(count: int, values: int, limit: int | None = None) -> int:
    """How many of ``count`` frames or rows, ``values`` numbers in all, a layer gets at a time.

    Args:
        limit: values of a slice at most; by default, :data:`SLICE_VALUES`.
    """
    within = (limit or SLICE_VALUES) * count // max(1, values)
    return min(count, max(1, within, math.ceil(count / MAX_SLICES)))


def in_slices(
    layer: Callable[..., torch.Tensor], *inputs: torch.Tensor, dim: int, values: int | None = None
) -> torch.Tensor:
    """``layer(*inputs)``, computed for one slice of ``dim`` after the other.

    The layer must not look from one index of ``dim`` at another. With autograd, which keeps everything anyway, nothing
    is cut.

    Args:
        inputs: tensors with as many indices of ``dim`` each.
        values: what the length of the slices follows from, alike on all devices; by default, the number of values of
            the largest input, and :func:`slice_limit`.
    """
    count = inputs[0].shape[dim]
    if values is None:
        length = slice_length(count, max(each.numel() for each in inputs), slice_limit(inputs[0].device))
    else:
        length = slice_length(count, values)
    if length == count or torch.is_grad_enabled():
        return layer(*inputs)
    out: torch.Tensor
    start = 0
    for parts in zip(*(torch.split(each, length, dim) for each in inputs), strict=True):
        part = layer(*parts)
        if start == 0:
            out = part.new_empty(*part.shape[:dim], count, *part.shape[dim + 1 :])
        out.narrow(dim, start, part.shape[dim]).copy_(part)
        start += part.shape[dim]
        del part  # not to be in memory beside the next one
    return out
