"""The verb of one task, such as ``image-to-video``, built from what its stages say about themselves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from modelscope_i2v.cli.options import (
    add_call_options,
    add_model_options,
    add_output_options,
    given,
    known_options,
    option_names,
)
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.pictures import Preview, add_comparison_option, add_preview_option, check_outputs, compare
from modelscope_i2v.cli.takes import add_takes_option, takes_of
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.embedded import embedded_stage
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import EXECUTION_OPTIONS
from modelscope_i2v.stage import Stage, stages_of


def register(subparsers: Any, same_task: Sequence[Stage]) -> None:
    """Add the verb of a task to a parser. If several stages do the same task, the first one describes the verb."""
    stage = same_task[0]
    verb = stage.verb
    parser = add_verb(
        subparsers,
        stage.task,
        usage=f'{verb.input_name} -o OUT.mp4 [options]',
        summary=verb.summary,
        description=verb.description,
        examples=_examples(stage),
    )
    parser.add_argument('input', metavar=verb.input_name, help=verb.input_help)
    add_output_options(parser)
    add_takes_option(parser)
    add_preview_option(parser)
    if verb.takes_video:
        add_comparison_option(parser)
    add_model_options(parser, embedded=embedded_stage(stage.task) is not None)
    group, known = parser.add_argument_group('generation'), set[str]()
    for each in same_task:
        add_call_options(group, each.arguments, [name for name in option_names(each.arguments) if name not in known])
        known.update(option_names(each.arguments))
    parser.set_defaults(run=partial(run, stage, sorted(known)))


def run(stage: Stage, names: Sequence[str], arguments: argparse.Namespace) -> int:
    """Generate, write, report."""
    from modelscope_i2v.embedded import embedded_model
    from modelscope_i2v.generation.early_checks import check_any, check_arguments
    from modelscope_i2v.generation.load import load_on
    from modelscope_i2v.runtime.execution import Execution

    if arguments.model is None and arguments.model_revision is not None:
        raise InputError("'--model-revision' needs '--model': the embedded model has no revisions.")
    takes = takes_of(arguments)
    check_outputs(arguments, arguments.input, takes)
    call = given(arguments, *names, 'show_progress')
    if 'seed' in call:
        call['seed'] = takes[0].seed
    execution = Execution.resolve(**given(arguments, 'device', *EXECUTION_OPTIONS))
    embedded = embedded_stage(stage.task) if arguments.model is None else None
    candidates = stages_of(stage.task) if embedded is None else [embedded]
    with known_options():
        check_any(candidates, lambda candidate: check_arguments(candidate, call))
    opened = stage.verb.open_input(arguments.input, **given(arguments, 'background'))
    with known_options():
        pipeline: Any = load_on(
            execution,
            arguments.model or embedded_model(stage.task),
            arguments.model_revision,
            task=stage.task,
            offline=arguments.offline,
            only_input=opened,
            **given(arguments, 'lora', 'lora_scale'),
            **call,
        )
    preview = None if arguments.preview is None else Preview(opened)
    results = []
    for take in takes:
        results.append(pipeline(opened, output_video=take.file(arguments.output), seed=take.seed))
        if not arguments.json:
            say(f'{results[-1]["output_video"]}  (seed {results[-1]["seed"]})')
        if stage.verb.takes_video and arguments.compare is not None:
            compare(opened, results[-1]['output_video'], str(take.file(arguments.compare)))
        if preview is not None:
            preview.add(results[-1]['output_video'])
    if preview is not None:
        preview.save(arguments.preview)
    if arguments.json:
        say_json(results if len(results) > 1 else results[0])
    return 0


def _examples(stage: Stage) -> list[str]:
    source = stage.verb.example.partition(' -o ')[0]
    real = f'{source} -o video.mp4 --model {stage.default_hub_model} --model-revision v1.1.0 --device cuda:0'
    return [stage.verb.example, *([real] if stage.default_hub_model else [])]
