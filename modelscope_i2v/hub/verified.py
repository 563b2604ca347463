"""Remember which files of a snapshot were verified: hashing 15 GB again at every start takes a minute.

ModelScope's client verifies files against the hub's hashes, and asks the hub each time. Here, a verified hash stays
valid as long as the file has the size and the modification time that it had then. A file with a different time, such as
a copy, is hashed once more.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelscope_i2v.errors import OutputError
from modelscope_i2v.files import read_json, write_json

logger = logging.getLogger(__name__)

RECORD = '.modelscope_i2v.json'
VERSION = 1


def record_verified(
    folder: Path, hashes: Mapping[str, str | None], *, branch: bool, edited: Collection[str] = ()
) -> None:
    """Record that the files of ``folder`` in ``hashes`` have been verified, and against which SHA-256.

    Args:
        branch: whether the revision is a branch, and so may change.
        edited: files that the user has edited since; their old records are kept.

    Raises:
        OutputError: if the record cannot be written.
    """
    known = _files(folder)
    files = {
        name: known[name] if name in edited else {'state': _state(folder / name), 'sha256': sha256}
        for name, sha256 in hashes.items()
    }
    _write(folder, branch, files)


def has_record(folder: Path) -> bool:
    """Whether files of ``folder`` have ever been verified. A damaged record counts as none."""
    return bool(_read(folder))


def changed_since_verified(folder: Path, names: Collection[str]) -> list[str]:
    """Those of ``names`` that have changed since they were verified, or were never verified."""
    unchanged = _unchanged(folder, names)
    return [name for name in names if name not in unchanged]


def has_verified(folder: Path, name: str, size: int, sha256: str | None) -> bool:
    """Whether the file ``name`` was verified against ``size`` and ``sha256`` and has not changed since."""
    entry = _unchanged(folder, [name]).get(name)
    return entry is not None and entry['sha256'] == sha256 and entry['state'][0] == size


def has_changed_since(folder: Path, name: str, sha256: str | None) -> bool:
    """Whether the file ``name`` was verified against ``sha256``, is still there, and now has different content."""
    entry = _files(folder).get(name)
    return (
        entry is not None
        and entry['sha256'] == sha256
        and (folder / name).is_file()
        and bool(changed_since_verified(folder, [name]))
    )


def verified_hash(folder: Path, name: str) -> str | None:
    """The SHA-256 that the file ``name`` was verified against; None if it was never verified."""
    entry = _files(folder).get(name)
    return None if entry is None else entry['sha256']


def names_of_hash(folder: Path, sha256: str) -> list[str]:
    """The files that were verified against this SHA-256 and have not changed since."""
    return [*_unchanged(folder, [name for name, entry in _files(folder).items() if entry['sha256'] == sha256])]


def was_branch(folder: Path) -> bool:
    """Whether the verified revision is a branch."""
    return _read(folder).get('branch') is True


def _unchanged(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The records of those of ``names`` that have not changed since they were verified."""
    known = _files(folder)
    unchanged, hashed = {}, False
    for name in names:
        entry, state = known.get(name), _state(folder / name)
        if entry is None or state is None or entry['state'] is None or entry['state'][0] != state[0]:
            continue
        if entry['state'] != state:
            if not _has_hash(folder / name, entry['sha256']):
                continue
            entry['state'], hashed = state, True
        unchanged[name] = entry
    if hashed:
        with suppress(OutputError):  # a read-only copy is hashed each time
            _write(folder, was_branch(folder), known)
    return unchanged


def _has_hash(path: Path, sha256: str | None) -> bool:
    """Whether a file, which may be gigabytes in size, has this SHA-256."""
    if sha256 is None:
        return False
    from modelscope_hub.utils.file_utils import compute_hash

    if path.suffix != '.json':  # hashing JSON takes no time
        logger.warning("'%s' has a different modification time than when it was verified; hashing it again.", path)
    try:
        return bool(compute_hash(path) == sha256.lower())
    except OSError:
        return False


def _write(folder: Path, branch: bool, files: Mapping[str, Any]) -> None:
    write_json({'version': VERSION, 'branch': branch, 'files': files}, folder / RECORD)


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """The state and hash of the verified files."""
    files: dict[str, dict[str, Any]] = _read(folder).get('files', {})
    return files


def _read(folder: Path) -> dict[str, Any]:
    """The record; empty if it is missing or damaged, so that everything is verified again."""
    try:
        content = read_json(folder / RECORD)
    except (OSError, ValueError):
        return {}
    whole = isinstance(content, dict) and content.get('version') == VERSION and isinstance(content.get('branch'), bool)
    files = content.get('files') if whole else None
    return content if isinstance(files, dict) and all(map(_is_entry, files.values())) else {}


def _is_entry(entry: Any) -> bool:
    """Whether ``entry`` is what :func:`record_verified` writes for a file."""
    if not isinstance(entry, dict) or entry.keys() != {'state', 'sha256'}:
        return False
    state, sha256 = entry['state'], entry['sha256']
    numbers = state is None or (isinstance(state, list) and [type(number) for number in state] == [int, int])
    return numbers and (sha256 is None or isinstance(sha256, str))


def _state(path: Path) -> list[int] | None:
    """The size and modification time of a regular file, else None."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns] if stat.S_ISREG(found.st_mode) else None
