"""What tells one training from another: digests of weights, files and settings."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from modelscope_i2v.errors import ConfigurationError

#: Where a safetensors file says what it was made from.
MADE_FROM = 'made_from'

#: Integers of as many bytes. Their sum is exact, so that it depends on no order of adding, which is up to threads.
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def fingerprint(*parts: object) -> str:
    """A digest of networks and of other values, which are told apart by ``repr``.

    Of a network it takes names, and of every tensor the first numbers and the sum of all, read as integers: seconds for
    billions of weights, and every training changes them.
    """
    digest = hashlib.sha256()
    for part in parts:
        if not isinstance(part, nn.Module):
            digest.update(repr(part).encode('utf-8', 'surrogateescape'))
            continue
        for name, tensor in part.state_dict().items():
            digest.update(name.encode())
            kept = tensor.detach().cpu().flatten()
            integers = kept.view(_INTEGERS[kept.element_size()])
            digest.update(torch.cat([integers.sum(dtype=torch.int64).view(1), integers[:64].long()]).numpy().tobytes())
    return digest.hexdigest()


def code_fingerprint(*files: Path) -> str:
    """A digest of what Python files do, whatever their layout and comments."""
    return fingerprint(*(ast.dump(ast.parse(file.read_text(encoding='utf-8'))) for file in files))


def check_made_from(path: Path, expected: str) -> None:
    """Raise ConfigurationError unless the safetensors file ``path`` was made from what ``expected`` stands for."""
    with safe_open(path, 'pt') as file:
        found = (file.metadata() or {}).get(MADE_FROM)
    if found != expected:
        raise ConfigurationError(
            f"'{path}' was made from other weights, seeds or settings than those of now. Remove it to have it made "
            'again, or give another folder.'
        )
