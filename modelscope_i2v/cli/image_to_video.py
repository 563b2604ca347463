"""``image-to-video``: a picture becomes a video."""

from __future__ import annotations

import argparse
from typing import Any

from modelscope_i2v.arguments import ImageToVideoArguments
from modelscope_i2v.cli.options import (
    PIPELINE_OPTIONS,
    add_generation_options,
    add_model_options,
    add_output_options,
    generation_arguments,
    given,
)
from modelscope_i2v.cli.terminal import say, say_json


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = subparsers.add_parser(
        'image-to-video', help='turn a picture into a video', description='Turn a picture into a video.'
    )
    parser.add_argument('image', metavar='IMAGE', help='path or URL of the picture')
    add_output_options(parser)
    add_model_options(parser)
    add_generation_options(parser, ImageToVideoArguments)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Generate, write, report."""
    from modelscope_i2v.embedded import embedded_model
    from modelscope_i2v.errors import ConfigurationError
    from modelscope_i2v.loading import load
    from modelscope_i2v.media.video_writer import check_output

    check_output(arguments.output)  # before minutes of loading
    call = generation_arguments(arguments, ImageToVideoArguments)
    pipeline = load(
        arguments.model or embedded_model('image-to-video'),
        arguments.model_revision if arguments.model else None,
        offline=arguments.offline,
        **given(arguments, *PIPELINE_OPTIONS, 'show_progress'),
    )
    if pipeline.stage.task != 'image-to-video':
        raise ConfigurationError(f"'{arguments.model}' is a model for {pipeline.stage.task}; use that verb.")
    result = pipeline(arguments.image, output_video=arguments.output, **call)
    if arguments.json:
        say_json(result)
    else:
        say(f'{result["output_video"]}  (seed {result["seed"]})')
    return 0
