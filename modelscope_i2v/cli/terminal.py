"""Output to the terminal: results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(line: str) -> None:
    """Write one line to standard output."""
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """Write ``value`` to standard output as one line of JSON, for scripts."""
    say(json.dumps(value, ensure_ascii=False))


def complain(line: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f'modelscope-i2v: {line}\n')
