"""What a pickle may build: tensors over a checkpoint's storages, plain containers, and stubs for everything else."""

from __future__ import annotations

import math
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from modelscope_i2v.weights.pickle.program import Inert, Program


@dataclass(frozen=True, slots=True, eq=False)
class Stub(Inert):
    """Stands for a class, a function or an instance that is not loaded; does nothing and is hashed by identity."""

    name: str

    def __repr__(self) -> str:
        return f'<not loaded: {self.name}>'


@dataclass(frozen=True, slots=True)
class StorageType(Inert):
    """The element type that a ``torch.FloatStorage`` and the like stand for in a pickle."""

    dtype: torch.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """The bytes of one storage and the element type they were saved with."""

    data: torch.UntypedStorage
    dtype: torch.dtype


_KINDS = 'float64 float32 float16 bfloat16 uint8 uint16 uint32 uint64 int8 int16 int32 int64 bool complex64 complex128'
_FLOAT8 = 'float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu'
_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {name: getattr(torch, name) for name in (_KINDS + ' ' + _FLOAT8).split() if hasattr(torch, name)}
)
_STORAGE_TYPES: Mapping[str, StorageType] = MappingProxyType(
    {
        'DoubleStorage': StorageType(torch.float64),
        'FloatStorage': StorageType(torch.float32),
        'HalfStorage': StorageType(torch.float16),
        'BFloat16Storage': StorageType(torch.bfloat16),
        'LongStorage': StorageType(torch.int64),
        'IntStorage': StorageType(torch.int32),
        'ShortStorage': StorageType(torch.int16),
        'CharStorage': StorageType(torch.int8),
        'ByteStorage': StorageType(torch.uint8),
        'BoolStorage': StorageType(torch.bool),
        'ComplexFloatStorage': StorageType(torch.complex64),
        'ComplexDoubleStorage': StorageType(torch.complex128),
        'UntypedStorage': StorageType(torch.uint8),
    }
)


#: Units of work for a tensor, which takes many times as long as a list. torch describes each in over sixty bytes.
_TENSOR_UNITS = 64
#: The most dimensions that a tensor of a checkpoint has; networks have five.
_MAX_DIMENSIONS = 16
_MAX_NAME = 1000


def _is_sizes(values: Any) -> bool:
    short = isinstance(values, (tuple, list)) and len(values) <= _MAX_DIMENSIONS
    return short and all(type(value) is int and 0 <= value <= sys.maxsize for value in values)


def _rebuild_tensor(
    program: Program, storage: Any, offset: Any, size: Any, stride: Any, dtype: torch.dtype | None = None
) -> Any:
    """A view of ``storage``; a ``Stub`` if the storage is of an unsupported kind.

    torch grows a storage that is too small for the tensor, which would expose memory that the file never filled. So
    the extent is checked here. Raises ``pickle.UnpicklingError`` if it is outside the storage.
    """
    program.spend(_TENSOR_UNITS)
    if isinstance(storage, Stub):
        return storage
    if not isinstance(storage, Storage) or not _is_sizes([offset]) or not _is_sizes(size) or not _is_sizes(stride):
        raise pickle.UnpicklingError('the description of a tensor is malformed')
    dtype = dtype or storage.dtype
    if not isinstance(dtype, torch.dtype) or len(size) != len(stride):
        raise pickle.UnpicklingError('the description of a tensor is malformed')
    if math.prod(size) * dtype.itemsize > sys.maxsize:
        raise pickle.UnpicklingError(f'a tensor has the impossible shape {tuple(size)}')
    reach = offset
    if math.prod(size):
        reach += 1 + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
    available = storage.data.nbytes() // dtype.itemsize
    if reach > available:
        raise pickle.UnpicklingError(f'a tensor of shape {tuple(size)} reaches beyond its {available} stored elements')
    return torch.empty(0, dtype=dtype).set_(storage.data, offset, tuple(size), tuple(stride))


def _rebuild_tensor_v2(
    program: Program,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    _grad: Any,
    _hooks: Any,
    metadata: Any = None,
) -> Any:
    """The form that torch has written since 0.4; drops gradients and hooks. Errors as ``_rebuild_tensor``."""
    _refuse_lazy_bits(metadata)
    return _rebuild_tensor(program, storage, offset, size, stride)


def _rebuild_tensor_v3(
    program: Program,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    _grad: Any,
    _hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    """As ``_rebuild_tensor_v2``, for the element types that have no storage class of their own."""
    _refuse_lazy_bits(metadata)
    return _rebuild_tensor(program, storage, offset, size, stride, dtype)


def _refuse_lazy_bits(metadata: Any) -> None:
    # The numbers in a tensor saved as "conjugate" or "negative" differ from what its bytes say.
    if metadata and (not isinstance(metadata, Mapping) or any(metadata.values())):
        raise pickle.UnpicklingError('a tensor was saved lazily conjugated or negated')


@dataclass(frozen=True, slots=True)
class _Allowed(Inert):
    """The only kind of object that REDUCE, NEWOBJ, INST and OBJ may call, with the program and the arguments."""

    call: Callable[..., Any]


def _rebuild_subclass(program: Program, function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    return build(program, function, arguments)


def plain_set(program: Program, items: Any = ()) -> set[Any]:
    """A set of ``items``. Raises ``pickle.UnpicklingError`` for unusual ones, see ``Program.admit_key``."""
    return set(map(program.admit_key, _items(items)))


def _ordered(program: Program, items: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((program.admit_key(key), value) for key, value in map(_items, _items(items)))


def _items(container: Any) -> Any:
    # Iterating over a tensor, for example, would make a tensor of each of its numbers.
    if not isinstance(container, (list, tuple, set, frozenset)):
        raise pickle.UnpicklingError(f'it takes a {type(container).__name__} for a list')
    return container


def _size(_program: Program, sizes: Any = ()) -> torch.Size:
    if not _is_sizes(sizes):
        raise pickle.UnpicklingError('the size of a tensor is malformed')
    return torch.Size(sizes)


def _data_of(_program: Program, data: Any, *_unused: Any) -> Any:
    return data  # a parameter is its data: gradients and hooks mean nothing in a file


_CALLS = MappingProxyType(
    {
        ('collections', 'OrderedDict'): _Allowed(_ordered),
        ('collections', 'defaultdict'): _Allowed(lambda _program, *_factory: {}),
        ('builtins', 'set'): _Allowed(plain_set),
        ('__builtin__', 'set'): _Allowed(plain_set),  # protocol 2 writes Python 2 names
        ('torch', 'Size'): _Allowed(_size),
        ('torch._utils', '_rebuild_tensor'): _Allowed(_rebuild_tensor),
        ('torch._utils', '_rebuild_tensor_v2'): _Allowed(_rebuild_tensor_v2),
        ('torch._utils', '_rebuild_tensor_v3'): _Allowed(_rebuild_tensor_v3),
        ('torch._utils', '_rebuild_parameter'): _Allowed(_data_of),
        ('torch._utils', '_rebuild_parameter_with_state'): _Allowed(_data_of),
        ('torch.nn.parameter', 'Parameter'): _Allowed(_data_of),
        ('torch._tensor', '_rebuild_from_type_v2'): _Allowed(_rebuild_subclass),
    }
)
_STORAGE_MODULES = frozenset({'torch', 'torch.storage', 'torch.cuda'})
_GROWING = (list, tuple, set, frozenset, dict)


def build(program: Program, function: Any, arguments: Any) -> Any:
    """Calls one of the functions above; a stub returns a stub. Raises ``pickle.UnpicklingError`` for anything else."""
    program.spend(8)
    if isinstance(function, Stub):
        return Stub(function.name)
    if not isinstance(function, _Allowed):
        raise pickle.UnpicklingError(f'it calls a {type(function).__name__}, which no checkpoint needs')
    program.spend(sum(len(item) for item in (arguments, *_items(arguments)) if isinstance(item, _GROWING)))
    return function.call(program, *arguments)


def find_global(module: str, name: str) -> Any:
    """The object for ``module.name`` in a pickle. Nothing is imported, and no dotted name is followed."""
    if len(module) > _MAX_NAME or len(name) > _MAX_NAME:  # joining them again and again would take memory
        raise pickle.UnpicklingError('it names a class whose name is too long')
    if module in _STORAGE_MODULES and name in _STORAGE_TYPES:
        return _STORAGE_TYPES[name]
    if module == 'torch' and name in _DTYPES:
        return _DTYPES[name]
    return _CALLS.get((module, name)) or Stub(f'{module}.{name}')
