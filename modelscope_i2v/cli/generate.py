"""What the verbs that generate share: finding a model, checking a call first, loading, reporting."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelscope_i2v.cli.options import PIPELINE_OPTIONS, given, option_names
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.early_checks import PARTS, check_arguments, check_call
from modelscope_i2v.plugin.registration import Stage


def find_model(
    arguments: argparse.Namespace,
    stage: Stage,
    model: str | None,
    revision: str | None,
    prefix: str = '',
    *,
    configuration_only: bool = False,
) -> Path:
    """The folder of ``model``, the embedded one of ``stage`` if None.

    Args:
        prefix: of the options that named them.
        configuration_only: get no weights yet.

    Raises:
        InputError: for a revision without a model. ConfigurationError, CheckpointError: if there is no such model.
    """
    from modelscope_i2v.embedded import embedded_model
    from modelscope_i2v.generation.load import model_folder

    if model is None and revision is not None:
        raise InputError(
            f"'--{prefix}model-revision' goes with '--{prefix}model': the embedded model has no revisions."
        )
    return model_folder(
        model or embedded_model(stage.task),
        revision,
        offline=arguments.offline,
        configuration_only=configuration_only,
    )


def load_stage(arguments: argparse.Namespace, folder: Path) -> Any:
    """The pipeline of a folder, with the options of the command line."""
    from modelscope_i2v.generation.load import load

    return load(folder, **given(arguments, *PIPELINE_OPTIONS, 'show_progress'))


def generate(arguments: argparse.Namespace, stage: Stage, input: str, open_input: Callable[[str], Any]) -> int:
    """One stage from ``input``, which ``open_input`` reads, to the file that ``-o`` names."""
    from modelscope_i2v.media.writing.write import check_output
    from modelscope_i2v.runtime.device import resolve_device

    call = given(arguments, *option_names(PARTS[stage][0]), 'show_progress')
    check_output(arguments.output)
    if arguments.device is not None:
        arguments.device = str(resolve_device(arguments.device))
    check_arguments(stage, call)
    opened = open_input(input)
    model = stage, arguments.model, arguments.model_revision
    configured = find_model(arguments, *model, configuration_only=True)
    check_call(configured, stage, call, arguments.lora, arguments.lora_scale)
    pipeline = load_stage(arguments, find_model(arguments, *model))
    report(arguments, pipeline(opened, output_video=arguments.output, **call))
    return 0


def report(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Tell where the video is and which seed made it."""
    if arguments.json:
        say_json(result)
    else:
        say(f'{result["output_video"]}  (seed {result["seed"]})')
