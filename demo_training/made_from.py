"""Record what a saved network or pool was made from, so that nothing stale is used."""

from __future__ import annotations

import ast
from pathlib import Path

from safetensors import SafetensorError, safe_open

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.training.fingerprint import fingerprint

#: The metadata key of a safetensors file for the digest of its inputs.
MADE_FROM = 'made_from'


def code_fingerprint(*files: Path) -> str:
    """A digest of the code in Python files, without layout and comments. Docstrings do count."""
    return fingerprint(*(ast.dump(ast.parse(file.read_text(encoding='utf-8'))) for file in files))


def recorded_digest(path: Path) -> str | None:
    """The digest that the safetensors file ``path`` records, if it does; raises ConfigurationError if it is damaged."""
    try:
        with safe_open(path, 'pt') as file:
            digest: str | None = (file.metadata() or {}).get(MADE_FROM)
    except SafetensorError as error:
        raise ConfigurationError(f"'{path}' is damaged or cut off ({error}). Remove it to make it again.") from error
    return digest


def check_made_from(path: Path, expected: str) -> None:
    """Raise ConfigurationError unless the safetensors file ``path`` records the digest ``expected``."""
    if recorded_digest(path) != expected:
        raise ConfigurationError(
            f"'{path}' was made from other weights, seeds or settings than the current ones. Remove it, with all that "
            'was made from it, or use another folder.'
        )
