"""The original implementation from the installed ``modelscope`` package.

Only single files are imported: the packages around them import far more than they need, and one of them fails. The
original's only attention is that of xformers. Where that is not installed, and on CPUs, for which it has no operators,
it is replaced by PyTorch's.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.run.rows import NotRunError
from modelscope_i2v.networks.attention import MAX_BATCHED_HEADS

ROOT = 'modelscope/models/multi_modal'


def reference_module(place: str) -> Any:
    """Import ``modelscope/models/multi_modal/<place>``, such as ``'image_to_video/modules/unet_i2v'``.

    Raises:
        NotRunError: if modelscope, or something that the file imports, is not installed.
    """
    spec = find_spec('modelscope')
    if spec is None or spec.origin is None:
        raise NotRunError('not run: modelscope is not installed')
    folder, _, name = place.rpartition('/')
    package = f'reference_{folder.replace("/", "_")}'
    if package not in sys.modules:
        module = ModuleType(package)
        module.__path__ = [str(Path(spec.origin).parents[1] / ROOT / folder)]
        sys.modules[package] = module
    try:
        with stand_in_for_xformers():
            return importlib.import_module(f'{package}.{name}')
    except ImportError as error:
        raise NotRunError(f'not run: {error}') from error


@contextmanager
def stand_in_for_xformers() -> Iterator[None]:
    """While it lasts, importing xformers gives PyTorch's attention, unless there are both xformers and a GPU."""
    if torch.cuda.is_available() and find_spec('xformers') is not None:
        yield
        return
    names = 'xformers', 'xformers.ops'
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    package, operators = map(ModuleType, names)
    package.ops, operators.memory_efficient_attention = operators, _attention
    sys.modules.update(zip(names, (package, operators), strict=True))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(before)


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """``[N, n, d]`` as xformers takes them. Fused kernels want an axis for heads, and no more than 65535 of them."""
    parts = zip(*(torch.split(tensor.unsqueeze(1), MAX_BATCHED_HEADS) for tensor in (query, key, value)), strict=True)
    done = [F.scaled_dot_product_attention(*part).squeeze(1) for part in parts]
    return done[0] if len(done) == 1 else torch.cat(done)
