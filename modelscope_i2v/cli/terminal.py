"""Words to the person at the terminal: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """``value`` as one line of JSON on standard output, for scripts."""
    say(json.dumps(value, ensure_ascii=False))


def complain(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f'modelscope-i2v: {line}\n')
