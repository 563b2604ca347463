"""What a kept network or pool was made from, so that nothing stale is used."""

from __future__ import annotations

import ast
from pathlib import Path

from safetensors import safe_open

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.training.fingerprint import fingerprint

#: Where a safetensors file says what it was made from.
MADE_FROM = 'made_from'


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
