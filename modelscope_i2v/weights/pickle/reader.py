"""Reads files written by ``torch.save`` without running anything in them.

``torch.load(weights_only=True)`` does not run anything either, but it refuses files that name a class which is not
installed or not on its list. Checkpoints of training frameworks name such classes: besides the weights, a Lightning
checkpoint holds callbacks and hyperparameters. Here, such objects become inert stubs, and the tensors beside them are
read. Both of torch's formats are simple enough to read here, with every size checked before anything is unpacked.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.files import open_regular
from modelscope_i2v.weights.pickle.archive import ZIP_MAGIC, open_archive, read_member
from modelscope_i2v.weights.pickle.builders import Storage
from modelscope_i2v.weights.pickle.pending import Pending
from modelscope_i2v.weights.pickle.program import MAX_PROGRAM, Program
from modelscope_i2v.weights.pickle.unpickler import RestrictedUnpickler

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
# What the standard library and torch raise for bytes that make no sense.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)


def read_pickle(path: str | os.PathLike[str]) -> Any:
    """The contents of a ``torch.save`` file, with tensors on the CPU and only plain containers around them.

    Zip files are memory-mapped: a tensor is a view of the file until it is written to (the file itself never changes).
    Parameters come back as plain tensors, dictionaries of a known kind as ``dict`` or ``OrderedDict``, and any other
    object or class as an inert ``Stub`` with its name; its module need not be installed and is never imported.

    Raises:
        CheckpointError: if the file cannot be opened, is damaged or cut off, is of a kind that holds more than
            weights, or asks for more memory or work than weights need.
    """
    opened = open_pickle(path)
    opened.fill()
    return opened.contents


@dataclass(frozen=True)
class OpenPickle:
    """The contents of a ``torch.save`` file, whose tensors may still lack their numbers.

    Attributes:
        contents: as :func:`read_pickle` returns them, except that numbers which cannot be mapped from the file, but
            must be unpacked or copied, are undefined.
    """

    path: Path
    contents: Any
    pending: Pending

    def fill(self, tensors: Iterable[torch.Tensor] | None = None) -> None:
        """Read the numbers of ``tensors``, which come from the contents, or of all of them.

        Raises:
            CheckpointError: if they are damaged or cut off.
        """
        with _explained(self.path):
            self.pending.fill(self.path, tensors)


def open_pickle(path: str | os.PathLike[str]) -> OpenPickle:
    """Read the structure of a ``torch.save`` file; nothing is unpacked or copied yet. Errors as :func:`read_pickle`."""
    file = Path(path)
    with _explained(file):
        with open_regular(file) as stream:
            is_zip = stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        pending = Pending()
        return OpenPickle(file, (_open_zip if is_zip else _open_legacy)(file, pending), pending)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn errors for bytes that make no sense into CheckpointErrors."""
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f'{file} cannot be read: {error}. Check the path and its permissions.') from error
    except _DAMAGE as error:
        known = isinstance(error, (pickle.UnpicklingError, zipfile.BadZipFile))
        reason = str(error) if known else f'{type(error).__name__}: {error}'
        raise CheckpointError(
            f'{file} is not a readable PyTorch checkpoint: {reason}. It is probably damaged or cut off; '
            'download it again and compare its size with the one on the hub.'
        ) from error


class _MappedFile:
    """A file as one storage whose pages are read when they are touched; writing to them does not change the file."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        self._bytes = torch.UntypedStorage.from_file(str(path), False, self.size)

    def view(self, start: int, length: int) -> torch.UntypedStorage:
        """Raises ``pickle.UnpicklingError`` if the file is too short: slicing a storage would silently shorten it."""
        if start + length > self.size:
            raise pickle.UnpicklingError(f'it ends at byte {self.size}, before the weights do')
        view: torch.UntypedStorage = self._bytes[start : start + length]
        return view


def _open_zip(path: Path, pending: Pending) -> Any:
    file = _MappedFile(path)
    storages: dict[str, torch.UntypedStorage] = {}
    with open_archive(path) as (stream, archive):
        names = set(archive.namelist())
        root = min(
            (name[: -len('data.pkl')] for name in names if f'/{name}'.endswith('/data.pkl')), key=len, default=None
        )
        if root is None:
            raise CheckpointError(
                f'{path} is a zip file without a data.pkl, so torch.save did not write it. Unpack it, and point to the '
                'weight file inside.'
            )
        if f'{root}constants.pkl' in names:
            raise CheckpointError(
                f'{path} is a TorchScript program, which holds code. Save the weights alone: '
                'torch.save(module.state_dict(), path).'
            )
        byte_order = 'little'
        if f'{root}byteorder' in names:
            byte_order = read_member(archive, f'{root}byteorder', 16).decode()
        _require_byte_order(path, byte_order)

        def open_storage(dtype: torch.dtype, key: str, count: int, *_view: Any) -> Storage:
            length = count * dtype.itemsize
            if key not in storages:
                entry = archive.getinfo(f'{root}data/{key}')
                if entry.file_size != length:
                    raise pickle.UnpicklingError(f'storage {key} has {entry.file_size} bytes instead of {length}')
                storages[key] = _open_record(stream, file, entry, dtype.itemsize, pending)
            if storages[key].nbytes() != length:
                raise pickle.UnpicklingError(f'storage {key} has {storages[key].nbytes()} bytes instead of {length}')
            return Storage(storages[key], dtype)

        program = Program(io.BytesIO(read_member(archive, f'{root}data.pkl', MAX_PROGRAM)))
        return RestrictedUnpickler(program, open_storage).load()


def _open_record(
    stream: BinaryIO, file: _MappedFile, entry: zipfile.ZipInfo, alignment: int, pending: Pending
) -> torch.UntypedStorage:
    """One member of the zip file: a view of the file, or, if it is compressed or misaligned, memory to fill later."""
    if entry.compress_type != zipfile.ZIP_STORED:
        return pending.unpacked(entry, file.size)
    stream.seek(entry.header_offset)
    # Read the member's own header: the directory at the end of the file does not say how long it is.
    magic, name_length, extra_length = struct.unpack('<4s22xHH', stream.read(30))
    if magic != ZIP_MAGIC:
        raise pickle.UnpicklingError(f'there is no {entry.filename} where the directory of the zip file says')
    data = file.view(entry.header_offset + 30 + name_length + extra_length, entry.file_size)
    return pending.copied(data, file.size) if data.data_ptr() % alignment else data


def _open_legacy(path: Path, pending: Pending) -> Any:
    """The format before torch 1.6: five pickles, then each storage as an element count and its bytes."""
    file = _MappedFile(path)
    storages: dict[str, Storage] = {}
    remaining = file.size

    def open_storage(dtype: torch.dtype, key: str, count: int, *view: Any) -> Storage:
        nonlocal remaining
        length = count * dtype.itemsize
        if key not in storages:
            remaining -= length
            if remaining < 0:
                raise pickle.UnpicklingError('its tensors are larger than the file')
            storages[key] = Storage(torch.UntypedStorage(length), dtype)  # type: ignore[no-untyped-call]
        elif storages[key].data.nbytes() != length:
            raise pickle.UnpicklingError(f'storage {key} has two sizes')
        match view:
            case [] | [None]:
                return Storage(storages[key].data, dtype)
            case [(_, int(start), int(size))] if start >= 0 and size >= 0 and start + size <= count:
                return Storage(storages[key].data[start * dtype.itemsize : (start + size) * dtype.itemsize], dtype)
        raise pickle.UnpicklingError('the view of a storage is malformed')

    with open_regular(path) as stream:
        program = Program(stream)
        if (
            RestrictedUnpickler(program).load() != _LEGACY_MAGIC
            or RestrictedUnpickler(program).load() != _LEGACY_VERSION
        ):
            raise CheckpointError(
                f'{path} is a pickle that torch.save did not write. Write the weights with '
                'torch.save(module.state_dict(), path) or as .safetensors.'
            )
        system = RestrictedUnpickler(program).load()
        _require_byte_order(path, 'little' if system['little_endian'] else 'big')
        contents = RestrictedUnpickler(program, open_storage).load()
        keys = RestrictedUnpickler(program).load()
        if not isinstance(keys, list) or sorted(map(program.admit_key, keys)) != sorted(storages):
            raise pickle.UnpicklingError('its list of storages does not match its tensors')
        position = program.tell()
        for storage in map(storages.__getitem__, keys):
            stream.seek(position)
            (count,) = struct.unpack('<q', stream.read(8))
            if count * storage.dtype.itemsize != storage.data.nbytes():
                raise pickle.UnpicklingError('the size of a storage does not match its tensors')
            pending.add(storage.data, file.view(position + 8, storage.data.nbytes()))
            position += 8 + storage.data.nbytes()
    return contents


def _require_byte_order(path: Path, byte_order: str) -> None:
    if byte_order != sys.byteorder:
        raise CheckpointError(
            f'{path} was written on a {byte_order}-endian machine, this one is {sys.byteorder}-endian. Convert it to '
            '.safetensors there.'
        )
