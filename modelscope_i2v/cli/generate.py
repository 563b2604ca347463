"""What the verbs that generate share: loading a stage, calling it, reporting."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from modelscope_i2v.arguments import GenerationArguments, merge_arguments
from modelscope_i2v.cli.options import PIPELINE_OPTIONS, given, option_names
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.registration import Stage


def load_stage(arguments: argparse.Namespace, stage: Stage, model: str | None) -> Any:
    """The pipeline of ``stage`` for ``model`` (None: the embedded one) and the options of the command line.

    Raises:
        ConfigurationError: if the model is one of another stage.
    """
    from modelscope_i2v.embedded import embedded_model
    from modelscope_i2v.errors import ConfigurationError, InputError
    from modelscope_i2v.loading import load

    if arguments.model_revision and not model:
        raise InputError("'--model-revision' goes with '--model': the embedded model has no revisions.")
    pipeline = load(
        model or embedded_model(stage.task),
        arguments.model_revision if model else None,
        offline=arguments.offline,
        **given(arguments, *PIPELINE_OPTIONS, 'show_progress'),
    )
    if pipeline.stage is not stage:
        raise ConfigurationError(f"'{model}' is a model for {pipeline.stage.task}; {stage.task} needs another one.")
    return pipeline


def generate(
    arguments: argparse.Namespace,
    stage: Stage,
    kind: type[GenerationArguments],
    input: str,
    open_input: Callable[[str], Any],
) -> int:
    """One stage from ``input``, which ``open_input`` reads, to the file that ``-o`` names."""
    from modelscope_i2v.media.video_writer import check_output

    call = given(arguments, *option_names(kind), 'show_progress')
    # What can be found out without the model is found out before minutes of loading it.
    check_output(arguments.output)
    merge_arguments(kind, call)
    opened = open_input(input)
    pipeline = load_stage(arguments, stage, arguments.model)
    report(arguments, pipeline(opened, output_video=arguments.output, **call))
    return 0


def report(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Tell where the video is and which seed made it."""
    if arguments.json:
        say_json(result)
    else:
        say(f'{result["output_video"]}  (seed {result["seed"]})')
