"""Zip files from anybody: nothing in them is unpacked before its size is known to be sensible."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from modelscope_i2v.files import open_regular

ZIP_MAGIC = b'PK\x03\x04'
#: The largest directory of a zip file, in bytes. That of a checkpoint has about a hundred for each tensor.
MAX_DIRECTORY = 4 * 2**20
#: How much is unpacked at a time, in bytes.
_STEP = 2**20
_ENCRYPTED = 1


class _Bounded:
    """A file that is read in small portions only: the directory of a zip file is read in one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, count: int = -1) -> bytes:
        content = self._stream.read(count if 0 <= count <= MAX_DIRECTORY else MAX_DIRECTORY + 1)
        if len(content) > MAX_DIRECTORY:
            raise zipfile.BadZipFile('its directory is larger than that of any checkpoint')
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[BinaryIO, zipfile.ZipFile]]:
    """Open a zip file. Raises ``zipfile.BadZipFile`` if it is none, or has too many members."""
    with open_regular(path) as stream, zipfile.ZipFile(cast(BinaryIO, _Bounded(stream))) as archive:
        yield stream, archive


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A small member as bytes. Raises ``pickle.UnpicklingError`` if it is larger than ``limit`` or encrypted."""
    entry = archive.getinfo(name)
    if entry.file_size > limit:
        raise pickle.UnpicklingError(f'{name} is larger than in any checkpoint')
    storage = torch.UntypedStorage(entry.file_size)  # type: ignore[no-untyped-call]
    unpack(archive, entry, storage)
    return bytes(_memory(storage))


def unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: torch.UntypedStorage) -> None:
    """Unpack a member into memory of its size, a little at a time.

    Raises ``pickle.UnpicklingError`` if it is encrypted, packed in an unusual way or shorter than it says, and
    ``zipfile.BadZipFile`` if it is damaged.
    """
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise pickle.UnpicklingError(f'{entry.filename} is encrypted or packed in an unusual way')
    memory, position = _memory(target), 0
    with archive.open(entry) as member:
        while portion := member.read(_STEP):
            memory[position : position + len(portion)] = portion
            position += len(portion)
    if position != len(memory):
        raise pickle.UnpicklingError(f'{entry.filename} has {position} bytes instead of {len(memory)}')


def _memory(storage: torch.UntypedStorage) -> memoryview:
    return memoryview(cast(Any, torch.empty(0, dtype=torch.uint8).set_(storage).numpy()))
