"""A pipeline for a folder or a hub id, its task read from its configuration."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelscope_i2v.configuration_file import FILE_NAME, check_name, find_stage, read_configuration
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.generation.early_checks import PARTS, call_options, check_call
from modelscope_i2v.hub.download import fetch_snapshot
from modelscope_i2v.plugin.registration import Stage
from modelscope_i2v.runtime.attention import resolve_attention
from modelscope_i2v.runtime.device import resolve_device, resolve_dtype


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
    device = resolve_device(pipeline_arguments.get('device'))
    pipeline_arguments['device'] = str(device)
    dtype = resolve_dtype(pipeline_arguments.get('dtype', 'auto'), device)
    resolve_attention(pipeline_arguments.get('attention', 'auto'), device, dtype)
    stage = _check(model_folder(model, revision, offline=offline, configuration_only=True), pipeline_arguments)
    folder = model_folder(model, revision, offline=offline)
    # Not through ModelScope's pipeline(): it refuses pages with code of their own, which is never run here.
    module = importlib.import_module(f'{stage.package}.pipeline')
    return getattr(module, stage.pipeline_class)(model=str(folder.resolve()), **pipeline_arguments)


def _check(folder: Path, options: Mapping[str, Any]) -> Stage:
    """The stage of the model in ``folder``, which needs no weights yet, if it takes what :func:`load` was given."""
    file = folder / FILE_NAME
    content = read_configuration(folder)
    stage = find_stage(content, file)
    check_name(content, file, 'pipeline.type', stage.pipeline)
    kind, _ = PARTS[stage]
    named = [name for name in options if name not in ('device', 'preprocessor')]
    defaults = {name: options[name] for name in call_options(kind, named)}
    check_call(folder, stage, defaults, options.get('lora'), options.get('lora_scale'))
    return stage


def is_folder(model: str | os.PathLike[str]) -> bool:
    """Whether ``model`` is there as a folder (or a file, which is then refused), and so no hub id.

    Raises:
        ConfigurationError: for a path that the system refuses to look at.
    """
    try:
        return Path(model).exists()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The model '{model}' cannot be found: {error}. Name a folder or a hub id.") from error


def model_folder(
    model: str | os.PathLike[str],
    revision: str | None = None,
    *,
    offline: bool = False,
    configuration_only: bool = False,
) -> Path:
    """The folder of ``model``, downloaded if it is a hub id that is not in the cache; see :func:`load`.

    Args:
        configuration_only: download no weights yet.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise InputError(f"'model' must be a folder or a hub id owner/name, found {model!r}.")
    local = is_folder(model)
    if local and revision is not None:
        raise InputError(f"'{model}' is a folder, which has no revisions; leave out {revision!r}.")
    if local:
        return Path(model)
    name = os.fspath(model)
    parts = name.split('/')
    if len(parts) != 2 or not all(parts) or name.startswith(('.', '~')):
        raise ConfigurationError(f"There is no model folder '{name}', and it is no hub id owner/name either.")
    return fetch_snapshot(name, revision, offline=offline, configuration_only=configuration_only)
