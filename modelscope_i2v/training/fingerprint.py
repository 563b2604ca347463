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


def fingerprint(*parts: object) -> str:
    """A digest of networks and of other values, which are told apart by ``repr``.

    Of a network it takes names, the sum and the first numbers of every tensor: seconds for billions of weights, and
    every training changes them.
    """
    digest = hashlib.sha256()
    for part in parts:
        if not isinstance(part, nn.Module):
            digest.update(repr(part).encode('utf-8', 'surrogateescape'))
            continue
        for name, tensor in part.state_dict().items():
            digest.update(name.encode())
            kept = tensor.detach().flatten().cpu()  # some devices have no float64
            numbers = torch.cat([kept.sum(dtype=torch.float64).view(1), kept[:64].double()])
            digest.update(numbers.numpy().tobytes())
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
