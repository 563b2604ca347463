"""The parser of all verbs: whole option names only, a hint for a misspelt one, examples at the end of the help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NoReturn

from modelscope_i2v.errors import nearest


class VerbParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that refuses abbreviations and names the nearest option of its verb."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # These two are ours to say, also where ModelScope's own parser makes this one.
        ours = {'allow_abbrev': False, 'formatter_class': argparse.RawDescriptionHelpFormatter}
        super().__init__(*arguments, **{**options, **ours})

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Parse; leaves with exit code 2 at an unknown option, before anything that may be missing because of it."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:  # else the options are a verb's
            self._refuse_unknown(words)
        parsed, rest = super().parse_known_args(words, namespace)
        self._refuse_unknown(rest)
        return parsed, rest

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2: what was wrong, and where the help is."""
        self.exit(2, f"{self.prog}: {message}\nRun '{self.prog} --help' for usage and examples.\n")

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        for word in takewhile(lambda word: word != '--', words):
            option = word.partition('=')[0]
            if word.startswith('--') and option not in self._option_string_actions:
                self.error(f"unknown option '{option}'.{nearest(option, self._option_string_actions)}")


def add_verb(
    subparsers: Any, name: str, *, usage: str, summary: str, description: str, examples: Sequence[str]
) -> VerbParser:
    """A verb's parser.

    Args:
        usage: what follows the name of the verb.
        examples: the same, as somebody might type it.
    """
    lines = '\n'.join(f'  modelscope-i2v {name} {example}' for example in examples)
    parser: VerbParser = subparsers.add_parser(
        name, help=summary, description=description, epilog=f'examples:\n{lines}'
    )
    parser.usage = f'{parser.prog} {usage}'
    return parser
