"""A pipeline for a folder or a hub id, its task read from its configuration."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from modelscope_i2v.configuration_file import FILE_NAME, check_name, check_stage, read_configuration
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError, nearest
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
    folder = model_folder(model, revision, offline=offline)
    file = folder / FILE_NAME
    content = read_configuration(folder)
    stages = {stage.task: stage for stage in STAGES}
    task = content.get('task')
    if not isinstance(task, str) or task not in stages:
        allowed, hint = ', '.join(map(repr, stages)), nearest(str(task), stages)
        raise ConfigurationError(f"'task' in '{file}' must be one of {allowed}, found {task!r}.{hint}")
    check_stage(content, file, stages[task])
    check_name(content, file, 'pipeline.type', stages[task].pipeline)
    # Not through ModelScope's pipeline(): it refuses pages with code of their own, which is never run here.
    module = importlib.import_module(f'{stages[task].package}.pipeline')
    return getattr(module, stages[task].pipeline_class)(model=str(folder.resolve()), **pipeline_arguments)


def model_folder(model: str | os.PathLike[str], revision: str | None = None, *, offline: bool = False) -> Path:
    """The folder of ``model``, downloaded if it is a hub id that is not in the cache; see :func:`load`."""
    if not isinstance(model, (str, os.PathLike)):
        raise InputError(f"'model' must be a folder or a hub id owner/name, found {model!r}.")
    local = Path(model).exists()
    if local and revision is not None:
        raise InputError(f"'{model}' is a folder, which has no revisions; leave out {revision!r}.")
    return Path(model) if local else _snapshot(os.fspath(model), revision, offline)


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
