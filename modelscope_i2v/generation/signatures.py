"""Visible signatures: a method that takes ``**arguments`` shows the fields of the dataclass behind them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_type_hints

import torch

Fields = ParamSpec('Fields')
Result = TypeVar('Result')


def takes(
    arguments: Callable[Fields, object],
) -> Callable[[Callable[..., Result]], Callable[Concatenate[Any, Any, Fields], Result]]:
    """Give a method ``f(self, input, **arguments)`` the keyword arguments of the dataclass ``arguments``.

    ``help()`` and editors show them with types and defaults. Type checkers refuse any others.
    """

    def decorate(function: Callable[..., Result]) -> Callable[Concatenate[Any, Any, Fields], Result]:
        own = [item.replace(default=item.empty) for item in inspect.signature(function).parameters.values()][:2]
        hints = get_type_hints(arguments, localns={'torch': torch})  # the dataclasses name it without importing it
        fields = inspect.signature(arguments).parameters.values()
        typed = [field.replace(annotation=hints[field.name]) for field in fields]
        signature = inspect.Signature([*own, *typed])
        function.__signature__ = signature  # type: ignore[attr-defined]
        return cast('Callable[Concatenate[Any, Any, Fields], Result]', function)

    return decorate
