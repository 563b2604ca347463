"""Where seeds come from: given, configured, or drawn; a list of inputs gets one seed per input."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from modelscope_i2v.checks import MAX_SEED, integer
from modelscope_i2v.errors import InputError


def draw_seed() -> int:
    """A new seed, short enough to type again."""
    return secrets.randbelow(2**32)


def seeds_of(seed: Any, count: int) -> list[int | None]:
    """Seeds for ``count`` inputs: the given ones, or ``seed``, ``seed + 1``, ...; all None if ``seed`` is None.

    Raises:
        InputError: if the number of seeds is not the number of inputs, or a seed is not valid.
    """
    if isinstance(seed, Sequence) and not isinstance(seed, str):
        if len(seed) != count:
            raise InputError(f"'seed' has {len(seed)} values for {count} inputs; give one per input, or a single one.")
        return list(seed)
    if seed is None:
        return [None] * count
    first = integer('seed', seed, 0, MAX_SEED - count, error=InputError)
    return [first + index for index in range(count)]
