"""Checks that the frozen dataclasses share: each returns the value, or raises an error that names the key."""

from __future__ import annotations

import dataclasses
import logging
import math
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from modelscope_i2v.errors import ConfigurationError, InputError, ModelScopeI2VError, nearest, shown

logger = logging.getLogger(__name__)

ErrorType = type[ModelScopeI2VError]
Parameters = TypeVar('Parameters')

#: The largest seed that every torch generator accepts.
MAX_SEED = 2**63 - 1
#: The largest whole number that torch and NumPy can hold.
MAX_INTEGER = 2**63 - 1
#: How many warnings about one section are worth reading.
MAX_WARNINGS = 8


def integer(
    key: str,
    value: Any,
    low: int = 1,
    high: int | None = None,
    *,
    sane: int = MAX_INTEGER,
    error: ErrorType = ConfigurationError,
) -> int:
    """Return ``value`` as a Python int within ``low..high``; booleans and fractions are refused.

    Args:
        sane: the limit if there is no ``high``. Messages name it only if it is exceeded.
    """
    allowed = f'a whole number of at least {low}' if high is None else f'a whole number from {low} to {high}'
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise error(f"'{key}' must be {allowed}, found {shown(value)} ({type(value).__name__}).")
    whole = int(value)
    if high is None and whole > sane:
        high, allowed = sane, f'a whole number from {low} to {sane}'
    if whole < low or (high is not None and whole > high):
        raise error(f"'{key}' must be {allowed}, found {shown(whole)}.")
    return whole


def number(
    key: str, value: Any, low: float, high: float, *, open_low: bool = False, error: ErrorType = ConfigurationError
) -> float:
    """Return ``value`` as a finite float within ``low..high`` (above ``low`` if ``open_low``); refuses booleans."""
    bound = f'above {low:g}' if open_low else f'of at least {low:g}'
    allowed = f'a number {bound}' + ('' if math.isinf(high) else f' and at most {high:g}')
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise error(f"'{key}' must be {allowed}, found {shown(value)} ({type(value).__name__}).")
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not (math.isfinite(real) and low <= real <= high) or (open_low and real == low):
        raise error(f"'{key}' must be {allowed}, found {shown(value) if math.isinf(real) else value}.")
    return real


def integers(key: str, value: Any, low: int = 1, high: int | None = None) -> tuple[int, ...]:
    """Return a list or tuple of integers within ``low..high`` as a tuple; it must not be empty."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigurationError(f"'{key}' must be a non-empty list of whole numbers, found {shown(value)}.")
    return tuple(integer(f'{key}[{index}]', item, low, high) for index, item in enumerate(value))


def text(key: str, value: Any, *, error: ErrorType = ConfigurationError) -> str:
    """Return ``value`` if it is a string."""
    if not isinstance(value, str):
        raise error(f"'{key}' must be a string, found {shown(value)} ({type(value).__name__}).")
    return value


def choice(key: str, value: Any, allowed: Iterable[str], *, error: ErrorType = ConfigurationError) -> str:
    """Return ``value`` if it is one of ``allowed``; the error for a near miss has a hint."""
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        hint = nearest(value, names) if isinstance(value, str) else ''
        raise error(f"'{key}' must be one of {', '.join(map(repr, names))}, found {shown(value)}.{hint}")
    return value


def legal_size(key: str, value: int, multiple: int, remainder: int = 0) -> None:
    """Raise InputError, naming the nearest legal sizes, unless ``value`` is ``remainder`` modulo ``multiple``."""
    if value % multiple == remainder:
        return
    below = value - (value - remainder) % multiple
    legal = ' and '.join(str(size) for size in (below, below + multiple) if size > 0)
    rule = f'{remainder} more than a multiple of {multiple}' if remainder else f'a multiple of {multiple}'
    raise InputError(f"'{key}' must be {rule}, found {value}; the nearest legal values are {legal}.")


@contextmanager
def error_context(file: str | os.PathLike[str], place: str) -> Iterator[None]:
    """Make every ConfigurationError name the file and the section that it is about."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"'{file}', section '{place}': {error}") from error


def as_mapping(section: Any, file: str | os.PathLike[str], place: str) -> dict[str, Any]:
    """Return a copy of a section of ``file``, empty if the section is missing."""
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"'{place}' in '{file}' must be a JSON object, found {shown(section)}.")
    return dict(section)


def parse_section(kind: type[Parameters], section: Any, file: str | os.PathLike[str], place: str) -> Parameters:
    """Build the dataclass ``kind`` from a section; unknown keys are ignored with a warning.

    Raises:
        ConfigurationError: for a missing or impossible value; it names the file and the section.
    """
    fields = as_mapping(section, file, place)
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [key for key in fields if key not in known]
    # Not an error: files on the hub may have keys that we have never seen.
    for key in unknown[:MAX_WARNINGS]:
        logger.warning("Ignoring the unknown key '%s' of '%s' in '%s'.%s", key, place, file, nearest(key, known))
    if len(unknown) > MAX_WARNINGS:
        logger.warning("Ignoring %d more unknown keys of '%s' in '%s'.", len(unknown) - MAX_WARNINGS, place, file)
    for key in unknown:
        del fields[key]
    required = [
        name
        for name, item in known.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in fields]
    if missing:
        given = ', '.join(map(repr, as_mapping(section, file, place))) or 'nothing'
        raise ConfigurationError(
            f"'{file}' lacks the required {', '.join(map(repr, missing))} in '{place}', found {given}."
        )
    with error_context(file, place):
        return kind(**fields)
