"""The errors that a user can see.

Every class takes exactly one string: ModelScope rebuilds exceptions as ``type(error)(f'{Class}: {error}')`` when a
model or pipeline fails to build, so any other constructor would lose the message. A message says what was wrong, what
was found and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ''
