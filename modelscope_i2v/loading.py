"""A pipeline for a folder or a hub id, its task read from its configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modelscope_i2v.checks import choice
from modelscope_i2v.configuration import FILE_NAME, read_configuration
from modelscope_i2v.errors import CheckpointError, ConfigurationError
from modelscope_i2v.registration import STAGES


def load(
    model: str | os.PathLike[str], revision: str | None = None, *, offline: bool = False, **pipeline_arguments: Any
) -> Any:
    """The pipeline for ``model``.

    Args:
        model: a model's folder, or a hub id ``owner/name``, which is downloaded unless it is in the cache.
        revision: of a hub id; None is the hub's default.
        offline: use the cache only, never the network.
        **pipeline_arguments: ``device``, ``dtype``, ``attention``, and defaults for the arguments of a call.

    Raises:
        ConfigurationError: if the folder is no model of this package.
        CheckpointError: if the model cannot be downloaded, or is not in the cache when ``offline``.
        DeviceError, InputError, TypeError: as the pipelines do.
    """
    from modelscope.pipelines import pipeline

    folder = Path(model) if Path(model).exists() else _snapshot(os.fspath(model), revision, offline)
    content = read_configuration(folder)
    task = content.get('task')
    choice(f"task' in '{folder / FILE_NAME}", task, [stage.task for stage in STAGES])
    if content.get('framework') != 'pytorch':
        raise ConfigurationError(
            f"'framework' in '{folder / FILE_NAME}' must be 'pytorch', found {content.get('framework')!r}."
        )
    # An absolute path: ModelScope takes 'a/b' for a hub id and asks the network first.
    return pipeline(task=task, model=str(folder.resolve()), **pipeline_arguments)


def _snapshot(model: str, revision: str | None, offline: bool) -> Path:
    import requests
    from modelscope.hub.snapshot_download import snapshot_download

    parts = model.split('/')
    if len(parts) != 2 or not all(parts) or model.startswith(('.', '~')):
        raise ConfigurationError(f"There is no model folder '{model}', and it is no hub id owner/name either.")
    named = f"'{model}'" + (f' (revision {revision})' if revision else '')
    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=offline))
    except (OSError, ValueError, RuntimeError, requests.RequestException) as error:
        advice = 'Run once without offline to download it' if offline else 'Check the id, the revision and the network'
        raise CheckpointError(f'The model {named} could not be had: {error}. {advice}.') from error
