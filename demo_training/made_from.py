"""Record what a saved network or pool was made from, so that nothing stale is used."""

from __future__ import annotations

import ast
from pathlib import Path

from safetensors import safe_open

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.training.fingerprint import fingerprint

#: The metadata key of a safetensors file for the digest of its inputs.
MADE_FROM = 'made_from'


def code_fingerprint(*files: Path) -> str:
    """A digest of the code in Python files, without layout and comments. Docstrings do count."""
    return fingerprint(*(ast.dump(ast.parse(file.read_text(encoding='utf-8'))) for file in files))


def check_made_from(path: Path, expected: str) -> None:
    """Raise ConfigurationError unless the safetensors file ``path`` records the digest ``expected``."""
    with safe_open(path, 'pt') as file:
        found = (file.metadata() or {}).get(MADE_FROM)
    if found != expected:
        raise ConfigurationError(
            f"'{path}' was made from other weights, seeds or settings than the current ones. Remove it to make it "
            'again, or use another folder.'
        )
