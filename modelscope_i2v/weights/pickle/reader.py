"""Reads files written by ``torch.save`` without running anything in them.

``torch.load(weights_only=True)`` does not run anything either, but it refuses files that name a class which is not
installed or not on its list. Checkpoints of training frameworks name such classes: besides the weights, a Lightning
checkpoint holds callbacks and hyperparameters. Here, such objects become inert stubs, and the tensors beside them are
read. Both of torch's formats are simple enough to read here, with every size checked.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.weights.pickle.builders import Storage
from modelscope_i2v.weights.pickle.unpickler import RestrictedUnpickler

ZIP_MAGIC = b'PK\x03\x04'
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
        CheckpointError: if the file cannot be opened, is damaged or cut off, or is of a kind that holds more than
            weights.
    """
    file = Path(path)
    try:
        with file.open('rb') as stream:
            is_zip = stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        return _read_zip(file) if is_zip else _read_legacy(file)
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


def _read_zip(path: Path) -> Any:
    file = _MappedFile(path)
    storages: dict[str, torch.UntypedStorage] = {}
    with path.open('rb') as stream, zipfile.ZipFile(stream) as archive:
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
        byte_order = archive.read(f'{root}byteorder').decode() if f'{root}byteorder' in names else 'little'
        _require_byte_order(path, byte_order)

        def open_storage(dtype: torch.dtype, key: str, count: int, *_view: Any) -> Storage:
            length = count * dtype.itemsize
            if key not in storages:
                storages[key] = _read_record(archive, stream, file, f'{root}data/{key}', dtype.itemsize)
            if storages[key].nbytes() != length:
                raise pickle.UnpicklingError(f'storage {key} has {storages[key].nbytes()} bytes instead of {length}')
            return Storage(storages[key], dtype)

        return RestrictedUnpickler(io.BytesIO(archive.read(f'{root}data.pkl')), open_storage).load()


def _read_record(
    archive: zipfile.ZipFile, stream: Any, file: _MappedFile, name: str, alignment: int
) -> torch.UntypedStorage:
    """One member of the zip file: a view of the file, or a copy if the member is compressed or misaligned."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        unpacked = archive.read(entry)
        return (
            torch.frombuffer(bytearray(unpacked), dtype=torch.uint8).untyped_storage() if unpacked else file.view(0, 0)
        )
    stream.seek(entry.header_offset)
    # Read the member's own header: the directory at the end of the file does not say how long it is.
    magic, name_length, extra_length = struct.unpack('<4s22xHH', stream.read(30))
    if magic != ZIP_MAGIC:
        raise pickle.UnpicklingError(f'there is no {name} where the directory of the zip file says')
    data = file.view(entry.header_offset + 30 + name_length + extra_length, entry.file_size)
    # torch has no type hints here.
    return data.clone() if data.data_ptr() % alignment else data  # type: ignore[no-untyped-call]


def _read_legacy(path: Path) -> Any:
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

    with path.open('rb') as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as source:
        if RestrictedUnpickler(source).load() != _LEGACY_MAGIC or RestrictedUnpickler(source).load() != _LEGACY_VERSION:
            raise CheckpointError(
                f'{path} is a pickle that torch.save did not write. Write the weights with '
                'torch.save(module.state_dict(), path) or as .safetensors.'
            )
        system = RestrictedUnpickler(source).load()
        _require_byte_order(path, 'little' if system['little_endian'] else 'big')
        contents = RestrictedUnpickler(source, open_storage).load()
        keys = RestrictedUnpickler(source).load()
        if set(keys) != storages.keys():
            raise pickle.UnpicklingError('its list of storages does not match its tensors')
        position = source.tell()
        for storage in map(storages.__getitem__, keys):
            (count,) = struct.unpack('<q', source[position : position + 8])
            if count * storage.dtype.itemsize != storage.data.nbytes():
                raise pickle.UnpicklingError('the size of a storage does not match its tensors')
            storage.data.copy_(file.view(position + 8, storage.data.nbytes()))
            position += 8 + storage.data.nbytes()
    return contents


def _require_byte_order(path: Path, byte_order: str) -> None:
    if byte_order != sys.byteorder:
        raise CheckpointError(
            f'{path} was written on a {byte_order}-endian machine, this one is {sys.byteorder}-endian. Convert it to '
            '.safetensors there.'
        )
