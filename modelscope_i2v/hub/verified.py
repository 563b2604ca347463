"""Which files of a snapshot were verified against the hub's hashes: hashing 15 GB again at every start takes a minute.

ModelScope's client does that, and asks the hub each time. Its hash of a file is good as long as the file has the size
and the time of last change that it had then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelscope_i2v.weights.save import write_json

RECORD = '.modelscope_i2v.json'
VERSION = 1


def record_verified(folder: Path, hashes: Mapping[str, str | None], *, branch: bool) -> None:
    """Note that the files of ``folder`` that ``hashes`` names have been verified, against which SHA-256.

    Args:
        branch: whether the revision is one, and so may change.

    Raises:
        OutputError: if that cannot be written.
    """
    files = {name: {'state': _state(folder / name), 'sha256': sha256} for name, sha256 in hashes.items()}
    write_json({'version': VERSION, 'branch': branch, 'files': files}, folder / RECORD)


def has_record(folder: Path) -> bool:
    """Whether files of ``folder`` have ever been verified."""
    return (folder / RECORD).exists()


def changed_since_verified(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are not what they were when they were verified, or never were."""
    known = _files(folder)
    return [name for name in names if name not in known or known[name]['state'] != _state(folder / name)]


def has_verified(folder: Path, name: str, size: int, sha256: str | None) -> bool:
    """Whether the file ``name`` was verified against ``size`` and ``sha256`` and has not changed since."""
    entry = _unchanged(folder, name)
    return entry is not None and entry['sha256'] == sha256 and entry['state'][0] == size


def names_of_hash(folder: Path, sha256: str) -> list[str]:
    """The files that were verified against this SHA-256 and have not changed since."""
    known = _files(folder)
    return [name for name in known if known[name]['sha256'] == sha256 and _unchanged(folder, name) is not None]


def was_branch(folder: Path) -> bool:
    """Whether what was verified is a branch."""
    return _read(folder).get('branch') is True


def _unchanged(folder: Path, name: str) -> dict[str, Any] | None:
    """The record of a file that is what it was when it was verified."""
    entry = _files(folder).get(name)
    if entry is None or entry['state'] is None or entry['state'] != _state(folder / name):
        return None
    return entry


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """State and hash of the verified files."""
    try:
        files = _read(folder)['files']
        return {str(name): {'state': entry['state'], 'sha256': entry['sha256']} for name, entry in files.items()}
    except (LookupError, TypeError, AttributeError):
        return {}


def _read(folder: Path) -> dict[str, Any]:
    """The record, empty if there is no readable one: then all is verified again."""
    try:
        content = json.loads((folder / RECORD).read_text(encoding='utf-8'))
        return dict(content) if content['version'] == VERSION else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _state(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
