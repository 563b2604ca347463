"""The parser of all verbs. It takes whole option names only, hints at misspelt ones, and shows examples in its help."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from modelscope_i2v.cli.terminal import printable, write_error, write_output
from modelscope_i2v.errors import OutputError, nearest
from modelscope_i2v.generation.argument_names import PREFIXES, hint


class VerbParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that refuses abbreviations and names the nearest option of its verb."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # We decide these two, even if ModelScope's own parser creates this one.
        ours = {'allow_abbrev': False, 'formatter_class': argparse.RawDescriptionHelpFormatter}
        super().__init__(*arguments, **{**options, **ours})

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Parse. An unknown option exits with code 2, before any complaint about arguments missing because of it."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:  # otherwise the options belong to a verb
            self._refuse_unknown(words)
        else:
            self._refuse_unknown(takewhile(lambda word: word.startswith('-'), words))
        parsed, rest = super().parse_known_args(words, namespace)
        if rest and self._subparsers is None:
            after = ' Options go before --.' if '--' in words else ''
            self.error(f"unexpected '{rest[0]}'.{after}")
        return parsed, rest

    def error(self, message: str) -> NoReturn:
        """Exit with code 2, saying what was wrong and where to find help."""
        verb = re.search(r"invalid choice: '([^']+)' \(choose from (.*)\)", message)
        said = nearest(verb[1], re.findall(r'[\w-]+', verb[2])) if verb else ''
        said = printable(message) + said
        self.exit(2, f"{self.prog}: {said}\nRun '{self.prog} --help' for usage and examples.\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit, with ``message`` on standard error."""
        if message:
            write_error(message)
        raise SystemExit(status)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or the version. The base class would take a failure to do so for success."""
        try:
            write_output(message)
        except OutputError as error:
            self.exit(1, f'{self.prog}: {error}\n')
        except BrokenPipeError:
            self.exit(1)

    def _refuse_unknown(self, words: Iterable[str]) -> None:
        """Exit at the first word that looks like an option and is none; values of options may look like anything."""
        remaining = iter(words)
        for word in takewhile(lambda word: word != '--', remaining):
            option = word.partition('=')[0]
            action = self._option_string_actions.get(option)
            if action is not None and action.nargs != 0 and '=' not in word:
                next(remaining, None)
            elif action is None and word.startswith('--') and ' ' not in option:
                self.error(f"unknown option '{option}'.{self._hint(option)}")

    def _hint(self, option: str) -> str:
        """The nearest option, or what to do instead of one that only another program has."""
        names = {known[2:].replace('-', '_') for known in self._option_string_actions if known.startswith('--')}
        if 'seed' not in names:  # a verb that generates nothing
            return nearest(option, self._option_string_actions)
        name = option[2:].replace('-', '_')
        begun = [known for known in self._option_string_actions if known.startswith(option)]
        if len(begun) == 1 and not any(prefix + name in names for prefix in PREFIXES):
            return f" Did you mean '{begun[0]}'?"
        said = hint(name, names)
        return re.sub(r"'(\w+)'(\?| or )", lambda name: f"'--{name[1].replace('_', '-')}'{name[2]}", said)


def add_verb(
    subparsers: Any, name: str, *, usage: str, summary: str, description: str, examples: Sequence[str]
) -> VerbParser:
    """A verb's parser.

    Args:
        usage: what follows the name of the verb in the usage line.
        examples: what follows it in commands that somebody might type.
    """
    lines = '\n'.join(f'  modelscope-i2v {name} {example}' for example in examples)
    parser: VerbParser = subparsers.add_parser(
        name, help=summary, description=description, epilog=f'examples:\n{lines}'
    )
    parser.usage = f'{parser.prog} {usage}'
    return parser
