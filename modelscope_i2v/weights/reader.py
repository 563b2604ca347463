"""Read a weight file, or the contents of one, into a flat state dict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import safetensors
import torch

from modelscope_i2v.errors import CheckpointError, shown
from modelscope_i2v.files import open_regular
from modelscope_i2v.tensors import FLOATS, kind_problem
from modelscope_i2v.weights.pickle.archive import ZIP_MAGIC
from modelscope_i2v.weights.pickle.builders import Stub
from modelscope_i2v.weights.pickle.reader import open_pickle

# torch.save's legacy format starts with a pickled magic number, which protocol 1 writes in decimal digits.
_PICKLE_STARTS = (ZIP_MAGIC, b'\x80', b'L119547037146038801333356')
#: The largest header of a ``.safetensors`` file, in bytes; it has about a hundred for each tensor.
MAX_HEADER = 8 * 2**20
#: The longest name of a tensor.
MAX_NAME = 1000
#: The floating-point types that torch can convert to others.
READABLE = (*FLOATS, torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)
_WEB_PAGE_STARTS = (b'<!doctype', b'<html', b'<?xml')


@dataclass(frozen=True)
class StateDict:
    """The tensors of a weight file by name.

    Attributes:
        tensors: their names, shapes and element types. Their numbers may have to be unpacked or copied first.
        fill: does that for the given tensors, or for all of them if None; raises CheckpointError for damage.
    """

    tensors: dict[str, torch.Tensor]
    fill: Callable[[Iterable[torch.Tensor] | None], None]


def read_state_dict(source: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the tensors of ``source`` by name: on the CPU, detached, in the element types they were saved with.

    ``source`` is a ``.safetensors`` file, a file written by ``torch.save``, or the contents of one. A ``'state_dict'``
    wrapper (even one inside another) is removed, and everything beside it is ignored. Values that are not tensors are
    dropped. If the first name starts with ``'module.'``, that prefix is cut from all names that have it. Tensors of
    ``.safetensors`` and zip files are views of the file, which must not change while they are in use.

    Raises:
        CheckpointError: if the file is missing, unreadable, damaged or not a weight file, or if it holds no dense
            tensor that can be loaded to the CPU.
    """
    opened = open_state_dict(source)
    opened.fill(opened.tensors.values())
    return opened.tensors


def open_state_dict(source: str | os.PathLike[str] | Mapping[str, Any]) -> StateDict:
    """Like :func:`read_state_dict`, but nothing is unpacked or copied before :attr:`StateDict.fill` asks for it."""
    if isinstance(source, Mapping):
        return StateDict(_tensors(_unwrap(source), 'the given mapping'), _nothing)
    if not isinstance(source, (str, os.PathLike)):
        raise CheckpointError(f'weights must come from a path or a state dict, found {type(source).__name__}.')
    path = Path(source)
    contents, fill = _open_file(path)
    return StateDict(_tensors(_unwrap(contents), str(path)), fill)


def _nothing(_tensors: Iterable[torch.Tensor] | None) -> None:
    """What there is to fill in tensors that have their numbers."""


def _open_file(path: Path) -> tuple[Any, Callable[[Iterable[torch.Tensor] | None], None]]:
    try:
        if path.is_dir():
            raise CheckpointError(f'{path} is a folder, not a weight file. Name the file inside it.')
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            head = stream.read(512)
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(
            f'weight file {path} does not exist. Check the name in configuration.json and that the download finished.'
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise CheckpointError(f'weight file {path} cannot be read: {reason}. Check its permissions.') from error
    if not head:
        raise CheckpointError(f'weight file {path} is empty (0 bytes). Download it again.')
    _refuse_text(path, head)
    if path.suffix.lower() == '.safetensors' or _looks_like_safetensors(head, size):
        if MAX_HEADER < int.from_bytes(head[:8], 'little') <= size:
            raise CheckpointError(f'{path} describes more tensors than any network has. Download it again.')
        return _read_safetensors(path), _nothing
    if head.startswith(_PICKLE_STARTS):
        opened = open_pickle(path)
        return opened.contents, opened.fill
    raise CheckpointError(
        f'{path} is neither a .safetensors file nor one that torch.save wrote: it starts with {head[:8]!r}. '
        'Check that it is the weight file and download it again.'
    )


def _refuse_text(path: Path, head: bytes) -> None:
    if head.startswith(b'version https://git-lfs'):
        raise CheckpointError(
            f'{path} is a git-lfs pointer: the real file has not been downloaded. Run "git lfs pull" in its folder, or '
            'download the model with ModelScope.'
        )
    if head.lstrip().lower().startswith(_WEB_PAGE_STARTS):
        raise CheckpointError(
            f'{path} is a web page, probably an error page saved by a failed download. Delete it and download it again.'
        )
    if not head.startswith(_PICKLE_STARTS) and all(byte in b'\t\n\r' or 32 <= byte < 127 for byte in head):
        raise CheckpointError(
            f'{path} is a text file, not weights; it starts with {head[:40]!r}. Delete it and download it again.'
        )


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b'{' and int.from_bytes(head[:8], 'little') <= size


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safetensors.safe_open(path, framework='pt', device='cpu') as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  a handle, not a mapping
    # Besides its own error, the library lets through torch's errors for unknown element types.
    except (
        safetensors.SafetensorError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise CheckpointError(
            f'{path} is not a readable .safetensors file: {error}. It is probably damaged or cut off; download it '
            'again and compare its size with the one on the hub. If torch.save wrote it, rename it to .pth.'
        ) from error


def _unwrap(contents: Any) -> Any:
    for _ in range(2):
        if isinstance(contents, Mapping) and isinstance(contents.get('state_dict'), (Mapping, Stub)):
            contents = contents['state_dict']
    return contents


def _tensors(contents: Any, origin: str) -> dict[str, torch.Tensor]:
    if not isinstance(contents, Mapping):
        found = contents.name if isinstance(contents, Stub) else type(contents).__name__
        raise CheckpointError(
            f'{origin} holds an object of type {found} instead of a state dict. Save the weights alone: '
            'torch.save(module.state_dict(), path).'
        )
    for name, value in contents.items():
        if isinstance(name, str) and len(name) > MAX_NAME:
            raise CheckpointError(f'{origin} holds {shown(name)}, a name of {len(name):,} characters. Shorten it.')
        _refuse_unusable(name, value, origin)
    tensors = {
        name: value.detach().cpu()
        for name, value in contents.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if not tensors:
        keys = ', '.join(map(shown, islice(contents, 5))) or 'nothing'
        raise CheckpointError(f'{origin} holds no tensors; at its top level: {keys}. Check that it is the weight file.')
    if not next(iter(tensors)).startswith('module.'):
        return tensors
    renamed = {name.removeprefix('module.'): tensor for name, tensor in tensors.items()}
    if len(renamed) < len(tensors):
        twice = next(name for name in tensors if f'module.{name}' in tensors)
        raise CheckpointError(f"{origin} holds both '{twice}' and 'module.{twice}'. Remove one of the two.")
    return renamed


def _refuse_unusable(name: Any, value: Any, origin: str) -> None:
    kind = None
    if isinstance(value, Stub) and value.name.startswith(('torch._utils._rebuild_', 'torch.Q')):
        kind = value.name
    elif isinstance(value, torch.Tensor):
        odd = value.is_floating_point() and value.dtype not in READABLE
        kind = str(value.dtype).removeprefix('torch.') if odd else kind_problem(value)
    if kind:
        raise CheckpointError(
            f"'{name}' in {origin} is a {kind} tensor; only dense ones with values can be used. Convert it with "
            '.to_dense() or .dequantize() before saving.'
        )
