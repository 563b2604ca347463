"""Loads a pipeline from a folder or a hub id. The configuration says what kind of model it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import torch

from modelscope_i2v.errors import ConfigurationError, InputError, shown
from modelscope_i2v.generation.early_checks import call_options, check_any, check_arguments, check_call, check_room
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.hub.download import find_snapshot
from modelscope_i2v.hub.snapshots import Snapshot
from modelscope_i2v.model_folder import ModelFolder, check_name
from modelscope_i2v.plugin.registration import register
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.stage import Stage, stages_of

if TYPE_CHECKING:
    from modelscope_i2v.generation.pipeline import GenerationPipeline
    from modelscope_i2v.image_to_video.pipeline import ImageToVideoPipeline
    from modelscope_i2v.video_to_video.pipeline import VideoToVideoPipeline


@overload
def load(
    model: str | os.PathLike[str],
    revision: str | None = ...,
    *,
    task: Literal['image-to-video'],
    offline: bool = ...,
    device: str | int | torch.device | None = ...,
    dtype: str | torch.dtype | None = ...,
    attention: str | None = ...,
    compile: bool | None = ...,
    lora: str | os.PathLike[str] | None = ...,
    lora_scale: float | None = ...,
    autoencoder_dtype: str | torch.dtype | None = ...,
    memory: str | None = ...,
    weights_dtype: str | torch.dtype | None = ...,
    **call_defaults: Any,
) -> ImageToVideoPipeline: ...


@overload
def load(
    model: str | os.PathLike[str],
    revision: str | None = ...,
    *,
    task: Literal['video-to-video'],
    offline: bool = ...,
    device: str | int | torch.device | None = ...,
    dtype: str | torch.dtype | None = ...,
    attention: str | None = ...,
    compile: bool | None = ...,
    lora: str | os.PathLike[str] | None = ...,
    lora_scale: float | None = ...,
    autoencoder_dtype: str | torch.dtype | None = ...,
    memory: str | None = ...,
    weights_dtype: str | torch.dtype | None = ...,
    **call_defaults: Any,
) -> VideoToVideoPipeline: ...


@overload
def load(
    model: str | os.PathLike[str],
    revision: str | None = ...,
    *,
    task: str | None = ...,
    offline: bool = ...,
    device: str | int | torch.device | None = ...,
    dtype: str | torch.dtype | None = ...,
    attention: str | None = ...,
    compile: bool | None = ...,
    lora: str | os.PathLike[str] | None = ...,
    lora_scale: float | None = ...,
    autoencoder_dtype: str | torch.dtype | None = ...,
    memory: str | None = ...,
    weights_dtype: str | torch.dtype | None = ...,
    **call_defaults: Any,
) -> ImageToVideoPipeline | VideoToVideoPipeline: ...


def load(
    model: str | os.PathLike[str],
    revision: str | None = None,
    *,
    task: str | None = None,
    offline: bool = False,
    device: str | int | torch.device | None = None,
    dtype: str | torch.dtype | None = 'auto',
    attention: str | None = 'auto',
    compile: bool | None = None,
    lora: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
    autoencoder_dtype: str | torch.dtype | None = 'fp32',
    memory: str | None = 'auto',
    weights_dtype: str | torch.dtype | None = None,
    **call_defaults: Any,
) -> Any:
    """The pipeline for ``model``.

    Args:
        model: a model's folder, or a hub id ``owner/name``, which is downloaded unless it is in the cache.
        revision: revision of a hub id; None means the hub's default.
        task: the task that the model must be for; None allows any.
        offline: use the cache only, never the network.
        device, dtype, attention, compile, lora, lora_scale, autoencoder_dtype, memory, weights_dtype: see
            :class:`~modelscope_i2v.generation.model.GenerationModel`.
        **call_defaults: defaults for the arguments of a call, and ``preprocessor``.

    Raises:
        ConfigurationError: if the folder is not a model of this package, or is for another task.
        CheckpointError: if the model cannot be downloaded, or is not in the cache when ``offline``.
        DeviceError, InputError, TypeError: as in the pipelines.
    """
    register()  # for what else the program asks ModelScope for
    return load_on(
        Execution.resolve(device, dtype, attention, compile, autoencoder_dtype, memory, weights_dtype),
        model,
        revision,
        task=task,
        offline=offline,
        lora=lora,
        lora_scale=lora_scale,
        **call_defaults,
    )


def load_on(
    execution: Execution,
    model: str | os.PathLike[str],
    revision: str | None = None,
    *,
    task: str | None = None,
    offline: bool = False,
    lora: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
    preprocessor: Any = None,
    only_input: Any = None,
    **call_defaults: Any,
) -> GenerationPipeline:
    """Like :func:`load`, with device, precision and attention already resolved.

    Args:
        only_input: the opened input of the only call, if there is one; ``call_defaults`` are then all its arguments.
    """
    if task is not None:
        check_any(stages_of(task), lambda stage: check_arguments(stage, _named(call_defaults, stage)))
    snapshot = find_model(model, revision, offline=offline)
    check_task(snapshot.folder, task)
    call = _named(call_defaults, snapshot.folder.stage)
    check_call(snapshot.folder, call, lora, lora_scale)
    given = InputSize.of(only_input)
    check_room(snapshot.folder, call, execution, is_whole=only_input is not None, given=given)
    folder = snapshot.complete()
    execution.announce()
    return build_pipeline(
        folder,
        execution,
        preprocessor=preprocessor,
        lora=lora,
        lora_scale=lora_scale,
        **call_defaults,
    )


def _named(call_defaults: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    return {name: call_defaults[name] for name in call_options(stage, call_defaults, 'load()')}


def check_task(folder: ModelFolder, task: str | None) -> None:
    """Raise ConfigurationError unless the model in ``folder`` is for ``task`` and names its pipeline to ModelScope."""
    stage = folder.stage
    if task is not None and stage.task != task:
        raise ConfigurationError(f"'{folder.path}' is a model for {stage.task}; {task} needs another one.")
    check_name(folder.content, folder.file, 'pipeline.type', stage.pipeline)


def build_pipeline(
    folder: ModelFolder,
    execution: Execution,
    *,
    preprocessor: Any = None,
    lora: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
    **call_defaults: Any,
) -> GenerationPipeline:
    """Build the pipeline of a model whose files are complete.

    This bypasses ModelScope's ``pipeline()``, which refuses pages with code of their own. That code is never run here.
    """
    stage = folder.stage
    shown = {'show_progress': call_defaults['show_progress']} if 'show_progress' in call_defaults else {}
    model = stage.model_class(folder, execution=execution, lora=lora, lora_scale=lora_scale, **shown)
    return stage.pipeline_class(model, preprocessor, **call_defaults)


def is_folder(model: str | os.PathLike[str]) -> bool:
    """Whether ``model`` exists as a folder and so is not a hub id. A file counts, too; it is refused later.

    Raises:
        ConfigurationError: for a path that the system cannot look up.
    """
    try:
        return os.fspath(model) != '' and Path(model).exists()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The model '{model}' cannot be found: {error}. Name a folder or a hub id.") from error


def find_model(model: str | os.PathLike[str], revision: str | None = None, *, offline: bool = False) -> Snapshot:
    """The configuration of ``model``, and access to its weights, which may still have to be downloaded.

    Raises:
        InputError: if ``model`` is of the wrong type, or if a folder is given with a revision.
        ConfigurationError, CheckpointError: if there is no such model.
    """
    if not isinstance(model, (str, os.PathLike)):
        plain = isinstance(model, (int, bytes, type(None)))
        found = shown(model) if plain else f'an object of type {type(model).__name__}'
        raise InputError(f"'model' must be a folder or a hub id owner/name, found {found}.")
    local = is_folder(model)
    if local and revision is not None:
        raise InputError(f"'{model}' is a folder, which has no revisions; leave out {shown(revision)}.")
    if local:
        return Snapshot.whole(ModelFolder.read(model))
    name = os.fspath(model)
    if not is_hub_id(name):
        raise ConfigurationError(f"There is no model folder '{name}', and it is not a hub id owner/name either.")
    return find_snapshot(name, revision, offline=offline)


def is_hub_id(model: str | os.PathLike[str]) -> bool:
    """Whether ``model`` looks like ``owner/name``."""
    name = os.fspath(model)
    parts = name.split('/')
    return len(parts) == 2 and all(parts) and not name.startswith(('.', '~'))
