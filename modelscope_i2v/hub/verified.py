"""Which files of a snapshot were verified against the hub's hashes: hashing 15 GB again at every start takes a minute.

ModelScope's client does that, and asks the hub each time. Its hash of a file is good as long as the file has the size
and the time of last change that it had then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelscope_i2v.weights.save import write_json

RECORD = '.modelscope_i2v.json'
VERSION = 1


def record_verified(folder: Path, names: Iterable[str]) -> None:
    """Note that the files ``names`` of ``folder`` have been verified.

    Raises:
        OutputError: if that cannot be written.
    """
    write_json({'version': VERSION, 'files': {name: _state(folder / name) for name in names}}, folder / RECORD)


def are_verified(folder: Path, names: Iterable[str]) -> bool:
    """Whether all files ``names`` of ``folder`` are what they were when they were verified."""
    try:
        content = json.loads((folder / RECORD).read_text(encoding='utf-8'))
        if content['version'] != VERSION:
            return False
        return all(content['files'].get(name) == _state(folder / name) for name in names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # no record, or no readable one: verify again


def _state(path: Path) -> list[Any]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
