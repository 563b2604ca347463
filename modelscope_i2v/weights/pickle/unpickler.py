"""An unpickler that can build tensors and plain containers, and nothing else.

A pickle is a program: ``find_class`` alone does not tame it, because BUILD sets attributes and APPEND calls methods on
whatever real object lies on the stack. So every opcode that calls or changes an object is replaced here, and no class
or function of Python or torch is ever put on the stack. The pure-Python unpickler is used because only there can
opcodes be replaced; it reads a checkpoint's few thousand of them in milliseconds.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import torch

from modelscope_i2v.weights.pickle.builders import Storage, StorageType, Stub, build, find_global, plain_set
from modelscope_i2v.weights.pickle.program import Program


class OpenStorage(Protocol):
    """Returns the bytes of one storage: element type, key in the file, element count, then what the format adds."""

    def __call__(self, dtype: torch.dtype, key: str, count: int, /, *view: Any) -> Storage: ...


class RestrictedUnpickler(pickle._Unpickler):
    """Reads one pickle from ``program``; classes and functions it does not know become ``Stub`` objects.

    Raises ``pickle.UnpicklingError`` for a program no checkpoint contains, and what ``pickle.loads`` raises for damage.
    """

    pop_mark: Callable[[], list[Any]]  # from the base class; its type stub does not list it

    def __init__(self, program: Program, open_storage: OpenStorage | None = None) -> None:
        super().__init__(program, fix_imports=False, encoding='utf-8', errors='replace')
        self._program = program
        self._open_storage = open_storage
        self.stack: list[Any] = []

    def find_class(self, module: str, name: str) -> Any:
        return find_global(module, name)

    def get_extension(self, code: int) -> None:
        # The base class looks in copyreg's process-wide registry and cache.
        self.stack.append(Stub(f'copyreg extension {code}'))

    def persistent_load(self, pid: Any) -> Any:
        """Raises ``pickle.UnpicklingError`` unless ``pid`` names a storage, or a class whose source was saved."""
        if isinstance(pid, tuple):
            self._program.spend(len(pid))
        match pid:
            case ('storage', StorageType(dtype), str(key), _, int(count), *view) if self._open_storage and count >= 0:
                return self._open_storage(dtype, key, count, *view)
            case ('storage', Stub() as unsupported, *_) | ('module', Stub() as unsupported, *_):
                return unsupported
        raise pickle.UnpicklingError('it refers to outside data in a way that torch.save never does')

    def _instantiate(self, kind: Any, arguments: Iterable[Any]) -> None:
        self.stack.append(build(self._program, kind, arguments))

    def _load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = build(self._program, self.stack[-1], arguments)

    def _load_newobj_ex(self) -> None:
        self.stack.pop()  # keyword arguments: nothing allowed takes any
        self._load_reduce()

    def _load_build(self) -> None:
        self.stack.pop()  # attributes of stubs, of tensors and of a state dict's ``_metadata``: none are needed

    def _load_append(self) -> None:
        self._extend([self.stack.pop()])

    def _load_appends(self) -> None:
        self._extend(self.pop_mark())

    def _load_setitem(self) -> None:
        value = self.stack.pop()
        self._update([self.stack.pop(), value])

    def _load_setitems(self) -> None:
        self._update(self.pop_mark())

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._update(items)

    def _load_additems(self) -> None:
        items = self.pop_mark()
        if isinstance(self.stack[-1], set):
            self.stack[-1].update(plain_set(self._program, items))

    def _load_frozenset(self) -> None:
        self.stack.append(frozenset(plain_set(self._program, self.pop_mark())))

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Stub):
            raise pickle.UnpicklingError(f'it appends to a {type(target).__name__}')

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            admit = self._program.admit_key
            target.update((admit(key), value) for key, value in zip(items[::2], items[1::2], strict=True))
        elif not isinstance(target, Stub):
            raise pickle.UnpicklingError(f'it stores items in a {type(target).__name__}')

    dispatch: ClassVar[Any] = MappingProxyType(
        {
            **pickle._Unpickler.dispatch,
            pickle.REDUCE[0]: _load_reduce,
            pickle.NEWOBJ[0]: _load_reduce,
            pickle.NEWOBJ_EX[0]: _load_newobj_ex,
            pickle.BUILD[0]: _load_build,
            pickle.APPEND[0]: _load_append,
            pickle.APPENDS[0]: _load_appends,
            pickle.SETITEM[0]: _load_setitem,
            pickle.SETITEMS[0]: _load_setitems,
            pickle.DICT[0]: _load_dict,
            pickle.ADDITEMS[0]: _load_additems,
            pickle.FROZENSET[0]: _load_frozenset,
            # Read as bytes: the base class's handler reserves whatever size is claimed before it looks for the data.
            pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],
        }
    )
