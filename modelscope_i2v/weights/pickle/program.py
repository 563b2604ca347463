"""The bytes of a pickle, and a bound on the work that they may ask for.

A pickle is a program, and a short one can ask for endless work: it can refer to one object again and again, and each
reference can have that object copied or hashed. So everything that grows with an object costs units, and a program gets
a few of them for each of its bytes.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import torch

#: The largest program that is read, in bytes. That of a checkpoint has a few hundred for each tensor.
MAX_PROGRAM = 4 * 2**20
#: Units of work for each byte of a program, and to begin with.
_UNITS_PER_BYTE, _FIRST_UNITS = 4, 4096
#: How many keys may be of kinds that can be made to collide, how long they may be, and how deeply nested.
_MAX_COSTLY_KEYS, _MAX_ITEMS, _MAX_DEPTH = 2000, 16, 2
#: Integers below this bound have different hashes.
_MAX_KEY = 2**60


class Inert:
    """Base of what stands for objects that are not loaded; hashing and comparing it takes no time."""

    __slots__ = ()


_CHEAP = (str, bytes, float, type(None), torch.Tensor, torch.dtype, Inert)


class Program:
    """A stream from which an unpickler reads its programs.

    Raises ``pickle.UnpicklingError`` if they are larger than those of any checkpoint, or cost more.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._read = self._spent = self._costly_keys = 0

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer at the end."""
        if not 0 <= count <= MAX_PROGRAM - self._read:
            raise pickle.UnpicklingError('its description of the weights is larger than that of any checkpoint')
        return self._counted(self._stream.read(count))

    def readline(self) -> bytes:
        """The next bytes up to a line feed."""
        return self._counted(self._stream.readline(MAX_PROGRAM - self._read))

    def _counted(self, content: bytes) -> bytes:
        self._read += len(content)
        return content

    def tell(self) -> int:
        """The position in the stream."""
        return self._stream.tell()

    def spend(self, units: int) -> None:
        """Account for ``units`` of work."""
        self._spent += units
        if self._spent > _FIRST_UNITS + _UNITS_PER_BYTE * self._read:
            raise pickle.UnpicklingError('it asks for more work than any checkpoint')

    def admit_key(self, value: Any, depth: int = _MAX_DEPTH) -> Any:
        """Return ``value`` if it is cheap to hash and compare: text, a number, or a short tuple or set of those."""
        self.spend(1)
        if isinstance(value, (tuple, frozenset, complex)):
            self._costly_keys += 1
            if self._costly_keys > _MAX_COSTLY_KEYS:
                raise pickle.UnpicklingError('it has too many keys that are not text')
        if isinstance(value, (tuple, frozenset)):
            if not depth or len(value) > _MAX_ITEMS:
                raise pickle.UnpicklingError(f'it uses a long or nested {type(value).__name__} as a key')
            for item in value:
                self.admit_key(item, depth - 1)
        elif isinstance(value, int):
            if not -_MAX_KEY < value < _MAX_KEY:
                raise pickle.UnpicklingError('it uses a huge number as a key')
        elif not isinstance(value, (*_CHEAP, complex)):
            raise pickle.UnpicklingError(f'it uses a {type(value).__name__} as a key')
        return value
