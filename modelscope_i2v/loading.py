"""A pipeline for a folder or a hub id, its task read from its configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modelscope_i2v.checks import choice
from modelscope_i2v.configuration_file import FILE_NAME, check_name, check_stage, read_configuration
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError
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

    if not isinstance(model, (str, os.PathLike)):
        raise InputError(f"'model' must be a folder or a hub id owner/name, found {model!r}.")
    folder = Path(model) if Path(model).exists() else _snapshot(os.fspath(model), revision, offline)
    content = read_configuration(folder)
    task = content.get('task')
    file = folder / FILE_NAME
    choice(f"task' in '{file}", task, [stage.task for stage in STAGES])
    stage = next(stage for stage in STAGES if stage.task == task)
    check_stage(content, file, stage)
    check_name(content, file, 'pipeline.type', stage.pipeline)
    # An absolute path: ModelScope takes 'a/b' for a hub id and asks the network first.
    return pipeline(task=task, model=str(folder.resolve()), **pipeline_arguments)


def _snapshot(model: str, revision: str | None, offline: bool) -> Path:
    from modelscope.hub.snapshot_download import snapshot_download

    parts = model.split('/')
    if len(parts) != 2 or not all(parts) or model.startswith(('.', '~')):
        raise ConfigurationError(f"There is no model folder '{model}', and it is no hub id owner/name either.")
    named = f"'{model}'" + (f' (revision {revision})' if revision else '')
    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=offline))
    except Exception as error:  # the client's errors have no common base, neither within nor across its versions
        advice = 'Run once without offline to download it' if offline else 'Check the id, the revision and the network'
        raise CheckpointError(f'The model {named} could not be had: {error}. {advice}.') from error
