"""What the verbs that generate share: finding a model, checking a call before loading it, loading, reporting."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelscope_i2v.arguments import ImageToVideoArguments, VideoToVideoArguments, merge_arguments
from modelscope_i2v.cli.options import PIPELINE_OPTIONS, given, option_names
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.configuration import parse_model_arguments, parse_stage
from modelscope_i2v.configuration_file import FILE_NAME, as_mapping, check_stage, naming, read_configuration
from modelscope_i2v.diffusion.schedules import NUM_TRAIN_TIMESTEPS
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.networks import ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.registration import IMAGE_TO_VIDEO, VIDEO_TO_VIDEO, Stage
from modelscope_i2v.weights import build_on_meta
from modelscope_i2v.weights.lora import check_scale, read_lora

PARTS: dict[Stage, tuple[type[Any], type[Any]]] = {
    IMAGE_TO_VIDEO: (ImageToVideoArguments, ImageToVideoUNet),
    VIDEO_TO_VIDEO: (VideoToVideoArguments, VideoToVideoUNet),
}


#: Where a model's own default decides whether another argument is allowed: what allows most.
LOOSEST: dict[Stage, dict[str, Any]] = {VIDEO_TO_VIDEO: {'noise_level': NUM_TRAIN_TIMESTEPS - 1}}


def find_model(
    arguments: argparse.Namespace, stage: Stage, model: str | None, revision: str | None, prefix: str = ''
) -> Path:
    """The folder of ``model``, the embedded one of ``stage`` if None.

    Args:
        prefix: of the options that named them.

    Raises:
        InputError: for a revision without a model. ConfigurationError, CheckpointError: if there is no such model.
    """
    from modelscope_i2v.embedded import embedded_model
    from modelscope_i2v.loading import model_folder

    if model is None and revision is not None:
        raise InputError(
            f"'--{prefix}model-revision' goes with '--{prefix}model': the embedded model has no revisions."
        )
    return model_folder(model or embedded_model(stage.task), revision, offline=arguments.offline)


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


def load_stage(arguments: argparse.Namespace, folder: Path) -> Any:
    """The pipeline of a folder, with the options of the command line."""
    from modelscope_i2v.loading import load

    return load(folder, **given(arguments, *PIPELINE_OPTIONS, 'show_progress'))


def generate(arguments: argparse.Namespace, stage: Stage, input: str, open_input: Callable[[str], Any]) -> int:
    """One stage from ``input``, which ``open_input`` reads, to the file that ``-o`` names."""
    from modelscope_i2v.media.video_writer import check_output
    from modelscope_i2v.runtime.device import resolve_device

    call = given(arguments, *option_names(PARTS[stage][0]), 'show_progress')
    check_output(arguments.output)
    if arguments.device is not None:
        arguments.device = str(resolve_device(arguments.device))
    check_arguments(stage, call)
    opened = open_input(input)
    folder = find_model(arguments, stage, arguments.model, arguments.model_revision)
    check_call(folder, stage, call, arguments.lora, arguments.lora_scale)
    report(arguments, load_stage(arguments, folder)(opened, output_video=arguments.output, **call))
    return 0


def report(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Tell where the video is and which seed made it."""
    if arguments.json:
        say_json(result)
    else:
        say(f'{result["output_video"]}  (seed {result["seed"]})')
