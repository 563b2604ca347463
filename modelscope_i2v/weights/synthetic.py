"""Weights as a pure function of their name and shape: no file needed, the same numbers on every machine.

Networks with these weights compute something (every tensor matters, activations keep their scale) but have learnt
nothing. They are meant for tests and benchmarks.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import torch


def synthetic_tensor(key: str, shape: Sequence[int]) -> torch.Tensor:
    """A float32 tensor of ``shape`` whose values depend only on ``key`` and ``shape``.

    Standard normal values from a generator seeded with the CRC-32 of the key, scaled by the tensor's role: matrices
    and kernels by ``1 / sqrt(fan_in)``, norm weights ``1 + 0.1 r``, biases and embeddings ``0.1 r``; a scalar is CLIP's
    logit scale ``log(1 / 0.07)``.
    """
    if not shape:
        return torch.tensor(math.log(1 / 0.07))
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    values = torch.randn(tuple(shape), generator=generator)
    if key in {'text_projection', 'visual.proj'}:  # the only matrices stored as [in, out]
        return values / math.sqrt(shape[0])
    if key.endswith(('positional_embedding', 'class_embedding', 'token_embedding.weight')):
        return 0.1 * values
    if len(shape) >= 2:
        return values * (1.0 / math.sqrt(math.prod(shape[1:])))
    is_bias = key.rpartition('.')[2] == 'bias' or key.endswith('_bias')
    return 0.1 * values if is_bias else 1 + 0.1 * values


def synthetic_state_dict(shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """:func:`synthetic_tensor` for every key of ``shapes``."""
    return {key: synthetic_tensor(key, shape) for key, shape in shapes.items()}
