"""Where revisions of models are kept: as ModelScope's client does it, so that its ``pipeline()`` finds them too."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelscope_i2v.configuration_file import FILE_NAME, as_mapping, read_configuration
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError
from modelscope_i2v.generation.configuration import parse_model_arguments
from modelscope_i2v.hub.verified import changed_since_verified, has_record

logger = logging.getLogger(__name__)

#: What the hub takes no revision for.
DEFAULT_REVISION = 'master'
#: Where the client's older versions kept models, and where it keeps them, relative to the root of the cache.
_LAYOUTS = ('models/*/snapshots/*', 'models/*/snapshots/*/*', 'models/*/*', 'hub/models/*/*', 'hub/*/*', '*/*')


def cache_root() -> Path:
    """``$MODELSCOPE_CACHE``, or where the client's default is."""
    return Path(os.environ.get('MODELSCOPE_CACHE') or Path.home() / '.cache' / 'modelscope').expanduser()


def snapshot_folder(model: str, revision: str | None) -> Path:
    """Where a revision of ``owner/name`` is, or will be.

    Raises:
        InputError: for what can be no revision.
    """
    name = DEFAULT_REVISION if revision is None else revision
    if not isinstance(name, str) or not name or PurePosixPath(name).is_absolute() or {'.', '..'} & set(name.split('/')):
        raise InputError(f"'revision' must be a tag or a branch such as 'v1.1.0', or None, found {revision!r}.")
    return cache_root() / 'models' / model.replace('/', '--', 1) / 'snapshots' / name


def snapshot_identity(folder: Path) -> tuple[str, str] | None:
    """Hub id and revision of what a client keeps in ``folder``, None for any other folder."""
    for parent in folder.parents:
        if parent.name == 'snapshots' and '--' in parent.parent.name:
            return parent.parent.name.replace('--', '/', 1), folder.relative_to(parent).as_posix()
    return None


def cached_snapshot(model: str, revision: str | None, *, configuration_only: bool = False) -> Path:
    """The whole snapshot of a model in the cache, found without network.

    Without a revision that is the hub's default one, or else the only one that there is.

    Args:
        configuration_only: do not look at the weights.

    Raises:
        CheckpointError: if there is none, if there are several, or if one lacks files or has changed ones.
        ConfigurationError: if its configuration is damaged.
    """
    folder = snapshot_folder(model, revision)
    found = _revisions(snapshot_folder(model, None).parent)
    if revision is None and not (folder / FILE_NAME).exists() and len(found) == 1:
        folder = snapshot_folder(model, found[0])
    if not (folder / FILE_NAME).exists():
        wanted = f"revision '{revision}' of '{model}'" if revision else f"'{model}'"
        there = f'It has {", ".join(found)}: name one. ' if found else ''
        raise CheckpointError(
            f"The cache '{cache_root()}' has no {wanted}. {there}Run once without offline to download it."
        )
    names = needed_files(folder, configuration_only=configuration_only)
    missing = [name for name in names if not (folder / name).is_file()]
    changed = changed_since_verified(folder, names) if has_record(folder) else []
    problems = {'missing': missing, 'changed': [name for name in changed if name not in missing]}
    said = '; '.join(f'{what}: {", ".join(files)}' for what, files in problems.items() if files)
    if said:
        raise CheckpointError(
            f"The snapshot '{folder}' is not what the hub has; {said}. Run once without offline to repair it. (To "
            'change a model, copy its folder first.)'
        )
    return folder


def _revisions(snapshots: Path) -> list[str]:
    """The revisions in a model's folder of snapshots; names of branches may have slashes."""
    folders = sorted(path.parent.relative_to(snapshots) for path in snapshots.rglob(FILE_NAME))
    return [folder.as_posix() for folder in folders if not set(folder.parents) & set(folders)]


def needed_files(folder: Path, *, configuration_only: bool = False) -> list[str]:
    """The configuration of a snapshot and the weights that it names, relative to ``folder``.

    Args:
        configuration_only: leave out the weights.

    Raises:
        ConfigurationError: if it names none, or files outside of its folder.
    """
    file = folder / FILE_NAME
    section = as_mapping(read_configuration(folder).get('model'), file, 'model')
    arguments = parse_model_arguments(section.get('model_args'), file)
    names = {arguments.ckpt_unet, arguments.ckpt_clip, arguments.ckpt_autoencoder}
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or '..' in path.parts:
            raise ConfigurationError(f"'model.model_args' in '{file}' names '{name}', which is outside of its folder.")
    return [FILE_NAME] if configuration_only else [FILE_NAME, *sorted(names)]


def cached_folders() -> Iterator[Path]:
    """Folders of models in the cache, whatever version of the client put them there."""
    for layout in _LAYOUTS:
        yield from sorted(path for path in cache_root().glob(layout) if path.is_dir())
