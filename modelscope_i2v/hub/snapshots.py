"""Where revisions of models are kept: as ModelScope's client does it, so that its ``pipeline()`` finds them too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelscope_i2v.configuration import parse_model_arguments
from modelscope_i2v.configuration_file import FILE_NAME, as_mapping, read_configuration
from modelscope_i2v.errors import CheckpointError, ConfigurationError

#: What the hub takes no revision for.
DEFAULT_REVISION = 'master'


def models_folder() -> Path:
    """The folder of all models in the cache: ``$MODELSCOPE_CACHE/models``."""
    root = os.environ.get('MODELSCOPE_CACHE') or Path.home() / '.cache' / 'modelscope'
    return Path(root).expanduser() / 'models'


def snapshot_folder(model: str, revision: str | None) -> Path:
    """Where a revision of ``owner/name`` is, or will be."""
    return models_folder() / model.replace('/', '--', 1) / 'snapshots' / (revision or DEFAULT_REVISION)


def cached_snapshot(model: str, revision: str | None) -> Path:
    """The whole snapshot of a model in the cache, found without network.

    Without a revision that is the hub's default one, or else the only one that there is.

    Raises:
        CheckpointError: if there is none, if there are several, or if one lacks files.
        ConfigurationError: if its configuration is damaged.
    """
    folder = snapshot_folder(model, revision)
    found = sorted(path.name for path in folder.parent.glob('*') if (path / FILE_NAME).exists())
    if revision is None and folder.name not in found and len(found) == 1:
        folder = folder.with_name(found[0])
    if folder.name not in found:
        wanted = f"revision '{revision}' of '{model}'" if revision else f"'{model}'"
        there = f'It has {", ".join(found)}: name one. ' if found else ''
        raise CheckpointError(
            f"The cache '{folder.parent}' has no {wanted}. {there}Run once without offline to download it."
        )
    missing = [name for name in needed_files(folder) if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"The snapshot '{folder}' is incomplete, it lacks {', '.join(missing)}. Run once without offline to "
            'download the rest.'
        )
    return folder


def needed_files(folder: Path) -> list[str]:
    """The configuration of a snapshot and the weights that it names, relative to ``folder``.

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
    return [FILE_NAME, *sorted(names)]


def twins(folder: Path, name: str) -> Iterator[Path]:
    """Files called ``name`` in all other snapshots of the cache; they may have the same content."""
    for other in sorted(models_folder().glob('*/snapshots/*')):
        if other != folder and (other / name).is_file():
            yield other / name
