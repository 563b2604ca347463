"""``modelscope-i2v``: parse, run a verb, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

from modelscope_i2v.cli import autoload, chain, convert, estimate, evaluate, info, stage_verb, studio, train
from modelscope_i2v.cli.parser import VerbParser
from modelscope_i2v.cli.signals import Stopped, signals_stop
from modelscope_i2v.cli.terminal import complain, flush_output, printable_messages
from modelscope_i2v.errors import Interrupted, ModelScopeI2VError
from modelscope_i2v.stage import stages, stages_of
from modelscope_i2v.version import __version__

#: Verbs other than those of the stages.
VERBS = (chain, estimate, info, evaluate, studio, train, convert, autoload)


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add every verb to ``parser``."""
    subparsers: Any = parser.add_subparsers(title='verbs', metavar='VERB', required=True, parser_class=VerbParser)
    for task in dict.fromkeys(stage.task for stage in stages()):
        stage_verb.register(subparsers, stages_of(task))
    for verb in VERBS:
        verb.register(subparsers)


def run_verb(arguments: argparse.Namespace) -> int:
    """Run the parsed verb.

    Returns:
        0 for success, 1 for an error that has a message, 130 when interrupted, 143 or 129 when stopped by SIGTERM or
        SIGHUP.
    """
    # ModelScope keeps resetting the level of its logger, but not the filters. It may not be loaded yet.
    logging.getLogger('modelscope').addFilter(_is_warning)
    # Our errors already say what the hub's client logs about failed downloads. It adds a handler only if there is none.
    client = logging.getLogger('modelscope_hub')
    client.handlers, client.propagate = [logging.NullHandler()], False
    try:
        with printable_messages(), signals_stop():
            code = int(arguments.run(arguments))
    except (KeyboardInterrupt, Interrupted) as error:
        complain(f'interrupted. {error}'.rstrip())
        code = error.code if isinstance(error, Stopped) else 130
    except ModelScopeI2VError as error:
        complain(str(error))
        code = 1
    except BrokenPipeError:
        code = 1
    return code if flush_output() or code else 1


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script. Returns the exit code; bad usage raises SystemExit with code 2."""
    parser = VerbParser(
        prog='modelscope-i2v',
        description='Turn pictures into videos.',
        epilog="'modelscope-i2v VERB --help' shows the options of a verb, with examples.",
    )
    parser.add_argument('--version', action='version', version=f'modelscope-i2v {__version__}')
    add_verbs(parser)
    return run_verb(parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
