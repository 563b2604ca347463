"""Numbers that cannot be mapped from a file: memory that is reserved at once, but filled only when it is needed.

Reserved memory costs nothing until it is written to. So a file is refused by the names and shapes of its tensors before
any of it is unpacked, and what a network does not need is never unpacked.
"""

from __future__ import annotations

import pickle
import zipfile
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

import torch

from modelscope_i2v.weights.pickle.archive import open_archive, unpack

#: How much larger than the file its unpacked weights may be, and how many bytes more. Weights hardly shrink.
_RATIO, _ALLOWANCE = 16, 64 * 2**20


class Pending:
    """The memory that is still to be filled from a file."""

    def __init__(self) -> None:
        self._sources: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage | zipfile.ZipInfo]] = {}
        self._copied = self._unpacked = 0

    def add(self, target: torch.UntypedStorage, source: torch.UntypedStorage | zipfile.ZipInfo) -> None:
        """Note that ``target`` gets its bytes from ``source``."""
        if target.nbytes():
            self._sources[target.data_ptr()] = target, source

    def copied(self, source: torch.UntypedStorage, file_size: int) -> torch.UntypedStorage:
        """Memory for a copy of ``source``, a part of a file of ``file_size`` bytes.

        Raises ``pickle.UnpicklingError`` if more is copied than the file has, so that parts of it are copied twice.
        """
        self._copied += source.nbytes()
        if self._copied > file_size:
            raise pickle.UnpicklingError('its members overlap')
        return self._reserve(source.nbytes(), source)

    def unpacked(self, entry: zipfile.ZipInfo, file_size: int) -> torch.UntypedStorage:
        """Memory for a compressed member of a zip file of ``file_size`` bytes.

        Raises ``pickle.UnpicklingError`` if the members become larger than weights can be.
        """
        self._unpacked += entry.file_size
        if self._unpacked > _ALLOWANCE + _RATIO * file_size:
            raise pickle.UnpicklingError(f'it unpacks to more than {self._unpacked:,} bytes, which weights never do')
        return self._reserve(entry.file_size, entry)

    def fill(self, path: Path, tensors: Iterable[torch.Tensor] | None) -> None:
        """Fill the memory of ``tensors``, or of all of them, from the file ``path``; each only once."""
        wanted = sorted(self._sources) if tensors is None else self._places(tensors)
        found = [self._sources.pop(place) for place in wanted]
        for target, source in found:
            if isinstance(source, torch.UntypedStorage):
                target.copy_(source)
        packed = [(target, source) for target, source in found if isinstance(source, zipfile.ZipInfo)]
        if packed:
            with open_archive(path) as (_, archive):
                for target, entry in packed:
                    unpack(archive, entry, target)

    def _reserve(self, length: int, source: torch.UntypedStorage | zipfile.ZipInfo) -> torch.UntypedStorage:
        target = torch.UntypedStorage(length)  # type: ignore[no-untyped-call]
        self.add(target, source)
        return target

    def _places(self, tensors: Iterable[torch.Tensor]) -> list[int]:
        """Where the memory of ``tensors`` begins, without that which is filled; some see only a part of it."""
        starts, found = sorted(self._sources), set()
        for tensor in tensors:
            place = tensor.untyped_storage().data_ptr()
            index = bisect_right(starts, place) - 1
            if index >= 0 and place < starts[index] + self._sources[starts[index]][0].nbytes():
                found.add(starts[index])
        return sorted(found)
