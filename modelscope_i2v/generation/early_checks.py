"""What can be found out about a call before gigabytes are downloaded, and before minutes of loading."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelscope_i2v.configuration_file import FILE_NAME, as_mapping, check_stage, naming, read_configuration
from modelscope_i2v.diffusion.schedules import NUM_TRAIN_TIMESTEPS
from modelscope_i2v.errors import ConfigurationError, InputError, nearest
from modelscope_i2v.generation.arguments import (
    GenerationArguments,
    ImageToVideoArguments,
    VideoToVideoArguments,
    merge_arguments,
)
from modelscope_i2v.generation.configuration import parse_model_arguments, parse_stage
from modelscope_i2v.networks import ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, VIDEO_TO_VIDEO, Stage
from modelscope_i2v.weights import build_on_meta
from modelscope_i2v.weights.lora.apply import check_scale, read_lora

PARTS: dict[Stage, tuple[type[Any], type[Any]]] = {
    IMAGE_TO_VIDEO: (ImageToVideoArguments, ImageToVideoUNet),
    VIDEO_TO_VIDEO: (VideoToVideoArguments, VideoToVideoUNet),
}


#: Where a model's own default decides whether another argument is allowed: what allows most.
LOOSEST: dict[Stage, dict[str, Any]] = {VIDEO_TO_VIDEO: {'noise_level': NUM_TRAIN_TIMESTEPS - 1}}
#: Arguments of a pipeline's constructor that belong to the model.
MODEL_OPTIONS = ('dtype', 'attention', 'lora', 'lora_scale')
#: What ModelScope's own ``pipeline()`` may add; nothing here depends on them.
MODELSCOPE_OPTIONS = frozenset([
    'auto_collate', 'compile', 'compile_options', 'config_file', 'device_map', 'external_engine_for_llm', 'group_key',
    'ignore_file_pattern', 'invoked_by', 'llm_framework', 'model_prefetched', 'third_party', 'trust_remote_code',
    'type', 'use_hf',
])  # fmt: skip


def call_options(kind: type[GenerationArguments], options: Iterable[str]) -> list[str]:
    """Those of a constructor's ``options`` that are defaults for calls.

    Raises:
        TypeError: for an unknown one, naming it and the nearest known one.
    """
    names = {item.name for item in dataclasses.fields(kind)}
    for name in options:
        if name not in names and name not in MODEL_OPTIONS and name not in MODELSCOPE_OPTIONS:
            known = [*names, *MODEL_OPTIONS, 'model', 'device', 'model_revision']
            raise TypeError(f"Unknown argument '{name}' of pipeline().{nearest(name, known)}")
    return [name for name in options if name in names]


def check_arguments(stage: Stage, call: dict[str, Any]) -> None:
    """Find out before gigabytes are downloaded what no model of ``stage`` takes.

    Raises:
        InputError: for values that are not allowed.
    """
    merge_arguments(PARTS[stage][0], LOOSEST.get(stage, {}), call)


def check_call(
    folder: Path, stage: Stage, call: dict[str, Any], lora: str | None = None, lora_scale: float | None = None
) -> None:
    """Find out before minutes of loading whether a model of ``stage`` takes the arguments of a call, and the LoRA.

    Raises:
        ConfigurationError: if the folder is no model of this stage. InputError: for arguments that do not fit.
        CheckpointError: for a LoRA that does not.
    """
    file = folder / FILE_NAME
    content = read_configuration(folder)
    task = content.get('task')
    if task != stage.task and task in [other.task for other in PARTS]:
        raise ConfigurationError(f"'{folder}' is a model for {task}; {stage.task} needs another one.")
    check_stage(content, file, stage)
    section = as_mapping(content['model'], file, 'model')
    kind, unet = PARTS[stage]
    configuration: Any = parse_stage(stage, section.get('model_cfg'), file)
    defaults = configuration.call_defaults(parse_model_arguments(section.get('model_args'), file))
    configuration.check_call(merge_arguments(kind, defaults, call))
    if lora_scale is not None:
        check_scale(lora_scale)
        if lora is None:
            raise InputError("'lora_scale' goes with 'lora': there is no change to scale. Name its file.")
    if lora is not None:
        with naming(file, 'model.model_cfg'):
            network = build_on_meta(lambda: unet(**dataclasses.asdict(configuration.unet)))
        read_lora(network, lora)
