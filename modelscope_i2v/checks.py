"""Checks that the frozen dataclasses of this package share: each returns the value or raises, naming the key."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

from modelscope_i2v.errors import ConfigurationError, InputError, ModelScopeI2VError, nearest

ErrorType = type[ModelScopeI2VError]


def integer(
    key: str, value: Any, low: int = 1, high: int | None = None, *, error: ErrorType = ConfigurationError
) -> int:
    """``value`` as a Python int within ``low..high``; booleans and fractions are refused."""
    allowed = f'a whole number of at least {low}' if high is None else f'a whole number from {low} to {high}'
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise error(f"'{key}' must be {allowed}, found {value!r} ({type(value).__name__}).")
    whole = int(value)
    if whole < low or (high is not None and whole > high):
        raise error(f"'{key}' must be {allowed}, found {value}.")
    return whole


def number(
    key: str, value: Any, low: float, high: float, *, open_low: bool = False, error: ErrorType = ConfigurationError
) -> float:
    """``value`` as a finite float within ``low..high`` (above ``low`` if ``open_low``); booleans are refused."""
    bound = f'above {low:g}' if open_low else f'of at least {low:g}'
    allowed = f'a number {bound}' + ('' if math.isinf(high) else f' and at most {high:g}')
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise error(f"'{key}' must be {allowed}, found {value!r} ({type(value).__name__}).")
    real = float(value)
    if not (math.isfinite(real) and low <= real <= high) or (open_low and real == low):
        raise error(f"'{key}' must be {allowed}, found {value}.")
    return real


def integers(key: str, value: Any, low: int = 1, high: int | None = None) -> tuple[int, ...]:
    """A non-empty tuple of integers of at least ``low`` from a list or tuple."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigurationError(f"'{key}' must be a non-empty list of whole numbers, found {value!r}.")
    return tuple(integer(f'{key}[{index}]', item, low, high) for index, item in enumerate(value))


def text(key: str, value: Any, *, error: ErrorType = ConfigurationError) -> str:
    """A string."""
    if not isinstance(value, str):
        raise error(f"'{key}' must be a string, found {value!r} ({type(value).__name__}).")
    return value


def choice(key: str, value: Any, allowed: Iterable[str], *, error: ErrorType = ConfigurationError) -> str:
    """One of ``allowed``; a near miss gets a hint."""
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        hint = nearest(value, names) if isinstance(value, str) else ''
        raise error(f"'{key}' must be one of {', '.join(map(repr, names))}, found {value!r}.{hint}")
    return value


def legal_size(key: str, value: int, multiple: int, remainder: int = 0) -> None:
    """Raise InputError, naming the nearest legal sizes, unless ``value`` is ``remainder`` modulo ``multiple``."""
    if value % multiple == remainder:
        return
    below = value - (value - remainder) % multiple
    legal = ' and '.join(str(size) for size in (below, below + multiple) if size > 0)
    rule = f'{remainder} more than a multiple of {multiple}' if remainder else f'a multiple of {multiple}'
    raise InputError(f"'{key}' must be {rule}, found {value}; the nearest legal values are {legal}.")
