"""``train``: fine-tune a model on your own videos and pictures."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelscope_i2v.cli.options import add_json_option
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.terminal import make_printable, say, say_json


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'train',
        usage='CONFIG [--json]',
        summary='fine-tune a model on your own videos',
        description='Fine-tune a model: a LoRA, or all weights of a small model. Interrupted training is resumed.',
        examples=['fox.json'],
    )
    parser.add_argument(
        'configuration', metavar='CONFIG', help='JSON file that says what to train, on what and for how long'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, then report."""
    from modelscope_i2v.training.configuration import read_training_configuration
    from modelscope_i2v.training.requirements import check_requirements

    check_requirements()
    from accelerate import PartialState

    from modelscope_i2v.training.trainer import train

    configuration = read_training_configuration(arguments.configuration)
    with _progress_shown():
        result = train(configuration)
    if not PartialState().is_main_process:
        return 0
    if arguments.json:
        say_json({'result': str(result)})
    else:
        say(str(result))
    return 0


@contextmanager
def _progress_shown() -> Iterator[None]:
    """Show reports of the training on standard error."""
    logger, handler = logging.getLogger('modelscope_i2v.training'), logging.StreamHandler()
    handler.addFilter(make_printable)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
