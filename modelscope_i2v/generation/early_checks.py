"""Checks of a call that run before gigabytes are downloaded, and before minutes of loading."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import MODEL_OPTIONS, unknown_argument
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.memory import weights_of
from modelscope_i2v.generation.memory_check import check_memory
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.stage import Stage
from modelscope_i2v.weights.lora.apply import check_lora, read_lora

#: Added by ModelScope's own ``pipeline()``. It has no effect: code from a model's page is never run here.
ADDED_BY_MODELSCOPE = ('trust_remote_code',)


def call_options(stage: Stage, options: Iterable[str], where: str = 'pipeline()') -> list[str]:
    """The ``options`` of a constructor that are defaults for calls.

    Args:
        where: what was called.

    Raises:
        TypeError: for an option that is unknown or has no effect here, naming it and the nearest known one.
    """
    names = {*(item.name for item in dataclasses.fields(stage.arguments)), *stage.arguments.aliases}
    for name in options:
        if name not in names and name not in MODEL_OPTIONS and name not in ADDED_BY_MODELSCOPE:
            revision = 'revision' if where == 'load()' else 'model_revision'
            raise unknown_argument(name, {*names, *MODEL_OPTIONS, 'model', 'device', revision}, where)
    return [name for name in options if name in names]


def check_arguments(stage: Stage, call: Mapping[str, Any]) -> None:
    """Refuse arguments that no model of ``stage`` takes, before gigabytes are downloaded.

    Raises:
        InputError: for values that are not allowed. TypeError: for an unknown argument.
    """
    merge_arguments(stage.arguments, stage.arguments.most_permissive, call)


def check_any(candidates: Sequence[Stage], check: Callable[[Stage], None]) -> None:
    """Check that a call suits one of the stages ``candidates``: which one it is for may not be known yet.

    Raises:
        InputError, TypeError: what ``check`` raises for the first stage, if it raises for all of them.
    """
    first, *others = candidates
    try:
        check(first)
    except (InputError, TypeError):
        for stage in others:
            with contextlib.suppress(InputError, TypeError):
                return check(stage)
        raise


def check_call(
    folder: ModelFolder,
    call: Mapping[str, Any],
    lora: str | os.PathLike[str] | None = None,
    lora_scale: float | None = None,
) -> None:
    """Check, before minutes of loading, that a model takes the arguments of a call and the LoRA.

    Raises:
        InputError: for arguments that do not fit. CheckpointError: for a LoRA that does not.
    """
    configuration = folder.configuration
    configuration.check_call(merge_arguments(folder.stage.arguments, folder.call_defaults(), call))
    check_lora(lora, lora_scale)
    if lora is not None:
        with folder.error_context():
            unet = build_on_meta(lambda: folder.stage.networks['ckpt_unet'](configuration))
        read_lora(unet, lora, key=folder.stage.lora_key)


def check_room(
    folder: ModelFolder,
    call: Mapping[str, Any],
    execution: Execution,
    *,
    is_whole: bool = False,
    given: InputSize | None = None,
) -> None:
    """Check, before gigabytes are read, that the device has room for a model and for a call.

    Args:
        is_whole: whether ``call`` is all that the call will get. If not, what it lacks counts as the least possible.
        given: the input video, if there is one and it is known.

    Raises:
        DeviceError: if the memory will not do.
    """
    configuration = folder.configuration
    arguments = merge_arguments(folder.stage.arguments, folder.call_defaults(), call)
    if not is_whole:
        least: dict[str, Any] = {} if call.get('num_frames') is not None else {'num_frames': 1}
        if call.get('height') is None and call.get('width') is None:
            least.update(*deque(configuration.smaller_sizes(arguments), maxlen=1))
        arguments = dataclasses.replace(arguments, **least)
    weights = weights_of(folder.build_networks(), *execution.precisions)
    check_memory(configuration, arguments, execution, weights=weights, given=given)
