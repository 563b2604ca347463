"""The errors that a user can see.

Every class takes exactly one string: ModelScope rebuilds exceptions as ``type(error)(f'{Class}: {error}')`` when a
model or pipeline fails to build, so any other constructor would lose the message. A message says what was wrong, what
was found and what to do next.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any


class ModelScopeI2VError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(ModelScopeI2VError, ValueError):
    """A configuration file or a network parameter is missing, malformed or impossible."""


class CheckpointError(ModelScopeI2VError, ValueError):
    """A weight file is missing, damaged, unsafe or does not fit the network."""


class InputError(ModelScopeI2VError, ValueError):
    """An input or an argument of a call cannot be used."""


class OutputError(ModelScopeI2VError, OSError):
    """The result cannot be written to the requested place."""


class DeviceError(ModelScopeI2VError, RuntimeError):
    """The device, or a feature requested of it, is not available."""


class Interrupted(ModelScopeI2VError, RuntimeError):  # noqa: N818  the name is part of the public API
    """Raised inside a callback to stop a generation cleanly."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt ``name``: ``" Did you mean 'x'?"`` or an empty string."""
    if len(name) > 200:  # no misspelling, and slow to compare
        return ''
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ''


class _Shown(reprlib.Repr):
    """Short forms of values. A value may be huge or hostile, but naming it in a message must not fail."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 10
        self.maxstring = self.maxother = self.maxlong = 200

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python limits the conversion of integers to text, because it is slow
            return f'an integer of {x.bit_length()} bits'


_SHOWN, _MAX_SHOWN = _Shown(), 500


def shown(value: Any) -> str:
    """``value`` as messages show it: like ``repr``, but short, and without an error whatever it is."""
    text = _SHOWN.repr(value)
    return text if len(text) <= _MAX_SHOWN else f'{text[:_MAX_SHOWN]}...'
