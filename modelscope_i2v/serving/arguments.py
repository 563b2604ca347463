"""The arguments that a request may have: those of the command line, converted from strings if they are strings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.generation.argument_names import PREFIXES, unknown_argument
from modelscope_i2v.generation.arguments import take_none
from modelscope_i2v.generation.chain_arguments import PREFIXED, stage_names
from modelscope_i2v.stage import Stage

#: Arguments that only the owner of the machine decides about.
REFUSED = ('force',)
_BOOLEANS = {'true': True, 'false': False, '1': True, '0': False}
_WORDS = {int: 'a whole number', float: 'a number', bool: "'true' or 'false'"}


@dataclasses.dataclass(frozen=True)
class Argument:
    """One argument: its type, what it means, and which values it has, if there are few."""

    type: type
    help: str
    default: str
    choices: tuple[str, ...] | None = None
    takes_none: bool = False


def arguments_of(stages: Sequence[Stage]) -> dict[str, Argument]:
    """The arguments of a request, by name: for one stage, or for two in a chain."""
    own = [_of(stage) for stage in stages]
    if len(stages) == 1:
        return own[0]
    names = stage_names(stages[0], stages[1])
    found = {name: item for known, bare in zip(own, names, strict=True) for name, item in known.items() if name in bare}
    for prefix, known in zip(PREFIXES, own, strict=True):
        found.update({f'{prefix}{name}': item for name, item in known.items() if name in (*PREFIXED, 'seed')})
    return {'seed': own[0]['seed'], **found}


def converted(given: Mapping[str, Any], known: Mapping[str, Argument], where: str) -> dict[str, Any]:
    """``given`` with strings converted to the types of the arguments, without those that are None.

    Raises:
        TypeError: for an unknown argument, naming the nearest known one. InputError: for a string that is none of its
            type.
    """
    values = {}
    for name, value in given.items():
        if name not in known:
            raise unknown_argument(name, known, where)
        if value is not None or known[name].takes_none:
            values[name] = _converted(name, value, known[name].type)
    return values


def _converted(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, str) or kind is str:
        return value
    text = value.strip()
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        return kind(text)
    except (KeyError, ValueError, OverflowError) as error:
        raise InputError(f"'{name}' must be {_WORDS[kind]}, found {shown(value)}.") from error


def _of(stage: Stage) -> dict[str, Argument]:
    with_none = take_none(stage.arguments)
    return {
        item.name: Argument(
            item.metadata['cli'],
            item.metadata['help'],
            item.metadata['default'],
            item.metadata['choices'],
            item.name in with_none,
        )
        for item in dataclasses.fields(stage.arguments)
        if item.metadata.get('cli') is not None and item.name not in REFUSED
    }
