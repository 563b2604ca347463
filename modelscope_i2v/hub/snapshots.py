"""Where revisions of models are kept: in the layout of ModelScope's client, so that its ``pipeline()`` finds them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError, shown
from modelscope_i2v.files import can_be_path
from modelscope_i2v.hub.verified import changed_since_verified, has_changed_since, has_record, verified_hash
from modelscope_i2v.model_folder import FILE_NAME, ModelFolder, read_configuration

logger = logging.getLogger(__name__)

#: The revision that the hub uses if none is given.
DEFAULT_REVISION = 'master'
#: Where the client keeps models, now and in older versions, relative to the root of the cache.
_LAYOUTS = ('models/*/snapshots/*', 'models/*/snapshots/*/*', 'models/*/*', 'hub/models/*/*', 'hub/*/*', '*/*')


@dataclass(frozen=True)
class Snapshot:
    """A model whose configuration is here and has been read; its weights may still be missing.

    Attributes:
        folder: the model's folder and its configuration.
        complete: fetches or checks the weights; returns the folder that has them.
    """

    folder: ModelFolder
    complete: Callable[[], ModelFolder]

    @classmethod
    def whole(cls, folder: ModelFolder) -> Snapshot:
        """A snapshot that is already complete."""
        return cls(folder, lambda: folder)


def cache_root() -> Path:
    """``$MODELSCOPE_CACHE``, or the client's default folder."""
    return Path(os.environ.get('MODELSCOPE_CACHE') or Path.home() / '.cache' / 'modelscope').expanduser()


def snapshot_folder(model: str, revision: str | None) -> Path:
    """The folder where a revision of ``owner/name`` is, or will be.

    Raises:
        InputError: if ``revision`` cannot be the name of a revision, or ``model`` that of a model.
    """
    name = DEFAULT_REVISION if revision is None else revision
    possible = isinstance(name, str) and name and can_be_path(name) and not PurePosixPath(name).is_absolute()
    if not possible or {'.', '..'} & set(name.split('/')):
        raise InputError(f"'revision' must be a tag or a branch such as 'v1.1.0', or None, found {shown(revision)}.")
    if not can_be_path(model.replace('/', '--', 1)):
        raise InputError(f"'model' must be a folder or a hub id owner/name, found {shown(model)}.")
    return cache_root() / 'models' / model.replace('/', '--', 1) / 'snapshots' / name


def snapshot_identity(folder: Path) -> tuple[str, str] | None:
    """The hub id and revision of the snapshot in ``folder``; None for a folder that is not in the cache's layout."""
    for parent in folder.parents:
        if parent.name == 'snapshots' and '--' in parent.parent.name:
            return parent.parent.name.replace('--', '/', 1), folder.relative_to(parent).as_posix()
    return None


def cached_snapshot(model: str, revision: str | None) -> Snapshot:
    """Find a model in the cache, without using the network.

    Without a revision, this is the hub's default revision, or else the only one in the cache.

    Raises:
        CheckpointError: if there is none, if there are several, or if its configuration does not match the hub's;
            on completion, if weights are missing or have changed.
        ConfigurationError: if its configuration is damaged.
    """
    place = snapshot_folder(model, revision)
    found = _revisions(snapshot_folder(model, None).parent)
    if revision is None and not (place / FILE_NAME).exists() and len(found) == 1:
        place = snapshot_folder(model, found[0])
    if not (place / FILE_NAME).exists():
        wanted = f"revision '{revision}' of '{model}'" if revision else f"'{model}'"
        there = f'It has {", ".join(found)}: choose one. ' if found else ''
        raise CheckpointError(
            f"The cache '{cache_root()}' has no {wanted}. {there}Run once without offline to download it."
        )
    folder = ModelFolder.read(place)
    names = needed_files(folder)
    if has_record(place) and not has_usable_configuration(place):
        raise _differs(place, changed=[FILE_NAME])
    warn_if_edited(place)
    return Snapshot(folder, partial(_complete, folder, names))


def _complete(folder: ModelFolder, names: list[str]) -> ModelFolder:
    weights = names[1:]
    missing = [name for name in weights if not (folder.path / name).is_file()]
    changed = changed_since_verified(folder.path, weights) if has_record(folder.path) else []
    changed = [name for name in changed if name not in missing]
    if missing or changed:
        raise _differs(folder.path, missing=missing, changed=changed)
    return folder


def _differs(place: Path, **problems: list[str]) -> CheckpointError:
    said = '; '.join(f'{what}: {", ".join(files)}' for what, files in problems.items() if files)
    return CheckpointError(
        f"The snapshot '{place}' does not match the hub; {said}. Run once without offline to repair it. (To change "
        'weights, copy the folder first.)'
    )


def has_usable_configuration(place: Path) -> bool:
    """Whether the configuration of a snapshot is the one that was verified, or an edited version of it.

    Users may edit the configuration (the model page says so about the seed).
    """
    return not changed_since_verified(place, [FILE_NAME]) or is_edited(place)


def warn_if_edited(place: Path) -> None:
    """Warn if the configuration of a snapshot that is about to be used has been edited."""
    if is_edited(place):
        logger.warning("'%s' was edited since it was downloaded; using the edited version.", place / FILE_NAME)


def is_edited(place: Path, sha256: str | None = None) -> bool:
    """Whether the configuration of a snapshot has been edited since it was verified, and is still JSON.

    Args:
        sha256: the hash that it was verified against; None accepts any.
    """
    if not has_changed_since(place, FILE_NAME, sha256 or verified_hash(place, FILE_NAME)):
        return False
    try:
        read_configuration(place)
    except ConfigurationError:
        return False
    return True


def _revisions(snapshots: Path) -> list[str]:
    """The revisions in a model's folder of snapshots; branch names may contain slashes."""
    folders = sorted(path.parent.relative_to(snapshots) for path in snapshots.rglob(FILE_NAME))
    return [folder.as_posix() for folder in folders if not set(folder.parents) & set(folders)]


def needed_files(folder: ModelFolder) -> list[str]:
    """The configuration of a snapshot, then the weights that it names, relative to its folder.

    Raises:
        ConfigurationError: if it names impossible files, or files outside its folder.
    """
    names = {getattr(folder.arguments, key) for key in folder.files}
    for name in names:
        path = PurePosixPath(name)
        if not can_be_path(name):
            raise ConfigurationError(
                f"'model.model_args' in '{folder.file}' names {shown(name)}, which cannot be a file. Correct it."
            )
        if path.is_absolute() or '..' in path.parts:
            raise ConfigurationError(
                f"'model.model_args' in '{folder.file}' names '{name}', which is outside its folder."
            )
    return [FILE_NAME, *sorted(names)]


def cached_folders() -> Iterator[Path]:
    """The folders of models in the cache, from any version of the client."""
    for layout in _LAYOUTS:
        yield from sorted(path for path in cache_root().glob(layout) if path.is_dir())
