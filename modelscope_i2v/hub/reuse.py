"""Reuse files that another model or revision already has in the cache, instead of downloading them again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from modelscope_i2v.hub.snapshots import cached_folders
from modelscope_i2v.hub.verified import changed_since_verified, names_of_hash

logger = logging.getLogger(__name__)


def link_same_file(target: Path, name: str, size: int, sha256: str | None) -> None:
    """Link a file of the same size and hash from the cache to ``target``; the client verifies it like its own.

    The client never writes to an existing file. If the file is wrong, only this link is removed; its other names stay.
    """
    if sha256 is None:
        return
    for other in _same_files(name, size, sha256):
        with suppress(OSError):  # another file system, or one without links: then it is downloaded
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(other.resolve())
            logger.info("'%s' may be the same file as '%s'; trying that.", name, other)
        return


def _same_files(name: str, size: int, sha256: str) -> Iterator[Path]:
    """Files that were verified against the hash, under any name; then unverified files of this name and size."""
    folders = list(cached_folders())
    for folder in folders:
        for other in names_of_hash(folder, sha256):
            yield folder / other
    for folder in folders:
        path = folder / name
        if path.is_file() and path.stat().st_size == size and changed_since_verified(folder, [name]):
            yield path
