"""``modelscope-i2v``: parse, run a verb, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

from modelscope_i2v import __version__
from modelscope_i2v.cli import autoload, chain, convert, evaluate, image_to_video, info, train, video_to_video
from modelscope_i2v.cli.terminal import complain
from modelscope_i2v.errors import Interrupted, ModelScopeI2VError

VERBS = (image_to_video, video_to_video, chain, info, evaluate, train, convert, autoload)


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add every verb to ``parser``."""
    subparsers: Any = parser.add_subparsers(title='verbs', metavar='VERB', required=True)
    for verb in VERBS:
        verb.register(subparsers)


def run_verb(arguments: argparse.Namespace) -> int:
    """Run the parsed verb; 0, 1 for an error that has a message, 130 when interrupted."""
    for handler in logging.getLogger('modelscope').handlers:  # not the logger: ModelScope keeps resetting its level
        handler.setLevel(logging.WARNING)
    # What its client logs of failing downloads, our errors say. It makes its handler when there is none.
    client = logging.getLogger('modelscope_hub')
    client.handlers, client.propagate = [logging.NullHandler()], False
    try:
        return int(arguments.run(arguments))
    except (KeyboardInterrupt, Interrupted) as error:
        complain(f'interrupted. {error}'.rstrip())
        return 130
    except ModelScopeI2VError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code (2, for bad usage, leaves through SystemExit)."""
    parser = argparse.ArgumentParser(prog='modelscope-i2v', description='Turn pictures into videos.')
    parser.add_argument('--version', action='version', version=f'modelscope-i2v {__version__}')
    add_verbs(parser)
    return run_verb(parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
