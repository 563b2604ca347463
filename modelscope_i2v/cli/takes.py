"""Several videos from one command: a take per seed, with files of its own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from modelscope_i2v.checks import MAX_SEED, integer
from modelscope_i2v.errors import InputError
from modelscope_i2v.files import can_be_path, exists
from modelscope_i2v.generation.seeds import draw_seed, seeds_of

#: Most videos of one command.
MAX_TAKES = 100


@dataclass(frozen=True)
class Take:
    """One of the videos of a command.

    Attributes:
        seed: None if the model decides, which it may if there is only one take.
        several: whether there are other takes.
    """

    seed: int | None
    several: bool

    def file(self, path: str | None) -> str | None:
        """The file of this take, for an option that names one: of several takes, ``a.mp4`` is ``a-seed1.mp4``."""
        if path is None or not self.several:
            return path
        stem, suffix = os.path.splitext(path)  # noqa: PTH122  a path may end in a slash, which is refused later
        return f'{stem}-seed{self.seed}{suffix}'


def seeds(text: str) -> int | list[int]:
    """The value of ``--seed``: a number, or several with commas in between."""
    try:
        numbers = [int(part) for part in text.split(',')]
    except ValueError:
        raise argparse.ArgumentTypeError(f'must be a whole number, or several as in 1,2,3, found {text!r}') from None
    return numbers[0] if len(numbers) == 1 else numbers


def add_takes_option(group: argparse.ArgumentParser) -> None:
    """Add the option for the number of takes."""
    group.add_argument(
        '--variations',
        type=int,
        metavar='INT',
        help='make this many videos with one load, of successive seeds from --seed or a random one; each file gets the '
        'seed in its name: OUT-seed1.mp4 (default: 1)',
    )


def takes_of(arguments: argparse.Namespace) -> list[Take]:
    """The takes that ``--seed`` and ``--variations`` ask for.

    Raises:
        InputError: if they contradict each other, or are out of range.
    """
    given, count = arguments.seed, arguments.variations
    if count is not None:
        integer('variations', count, 1, MAX_TAKES, error=InputError)
    if isinstance(given, list):
        return [Take(seed, several=True) for seed in _checked(given, count)]
    if count is None or count == 1:
        return [Take(given, several=False)]
    first = draw_seed() if given is None else given
    return [Take(seed, several=True) for seed in seeds_of(first, count)]


def check_files(source: str, named: Sequence[tuple[str, str | None]], *, kept: bool) -> None:
    """Refuse two options that name the same file.

    Args:
        source: the input, a path or something else.
        named: options and their files.
        kept: whether the input is still needed after the first file is written.

    Raises:
        InputError: if two of them are the same.
    """
    seen = {os.path.realpath(source): 'the input'} if kept and exists(source) else {}
    for option, file in named:
        if file is None or not can_be_path(file):
            continue  # what writes it says so
        place = os.path.realpath(file)
        if place in seen:
            raise InputError(f"'{option}' and {seen[place]} are the same file, '{file}'. Name two different files.")
        seen[place] = f"'{option}'"


def _checked(given: list[int], count: int | None) -> list[int]:
    if count is not None:
        raise InputError(
            f"'--variations' counts up from one seed, but '--seed' has {len(given)}. Leave one of the two out."
        )
    if len(given) > MAX_TAKES:
        raise InputError(f"'--seed' has {len(given)} seeds; at most {MAX_TAKES} are taken. Use several commands.")
    for seed in given:
        integer('seed', seed, 0, MAX_SEED, error=InputError)
        if given.count(seed) > 1:
            raise InputError(f"'--seed' has {seed} twice, which would be the same video. Leave one of them out.")
    return given
