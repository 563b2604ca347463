"""Run the cases of a surface, and measure what each of them costs."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from modelscope_i2v.errors import ModelScopeI2VError

#: What no case may exceed: seconds of CPU time, and megabytes above what was in use before.
MAX_SECONDS, MAX_MEGABYTES = 20, 1500
#: One case: it reads or calls something odd, drawn from the generator.
Case = Callable[[random.Random], object]
_CLEAR, _STATUS = Path('/proc/self/clear_refs'), Path('/proc/self/status')


class ExitError(ModelScopeI2VError):
    """Stands for the exit code of a command, which its message names."""


@dataclass
class Outcome:
    """What became of the cases of a surface.

    Attributes:
        accepted: how many were not refused.
        refused: how many ended in each of our errors.
        others: number of the case and error, for all other errors.
        slowest, largest: the most CPU seconds and megabytes of a case, each with the number of the case.
    """

    surface: str
    cases: int
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    others: list[tuple[int, BaseException]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    largest: tuple[float, int] = (0.0, 0)

    def row(self) -> str:
        """A row of the table."""
        types = ', '.join(f'{name} {count}' for name, count in self.refused.most_common())
        return (
            f'| {self.surface} | {self.cases} | {self.accepted} | {types} | {len(self.others)} | '
            f'{self.slowest[0]:.2f} s | {self.largest[0]:.0f} MB |'
        )


HEAD = '| surface | cases | accepted | refused | other errors | slowest, CPU | largest |\n|---|---|---|---|---|---|---|'


def run(surface: str, case: Case, count: int, seed: int) -> Outcome:
    """Run cases ``0..count-1``. The same number gives the same case each time."""
    outcome = Outcome(surface, count)
    for number in range(count):
        draw = random.Random(f'{seed} {surface} {number}')
        with _without_messages(), _measured(outcome, number):
            try:
                case(draw)
            except ModelScopeI2VError as error:
                outcome.refused[str(error) if isinstance(error, ExitError) else type(error).__name__] += 1
            except TypeError as error:
                if str(error).startswith(('Unknown argument', 'All arguments except', 'Give the input')):
                    outcome.refused['TypeError'] += 1
                else:
                    outcome.others.append((number, error))
            except Exception as error:  # any other error is what this looks for
                outcome.others.append((number, error))
            else:
                outcome.accepted += 1
    return outcome


@contextlib.contextmanager
def _without_messages() -> Iterator[None]:
    ours = logging.getLogger('modelscope_i2v')
    before = ours.level
    ours.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ours.setLevel(before)


@contextlib.contextmanager
def _measured(outcome: Outcome, number: int) -> Iterator[None]:
    with contextlib.suppress(OSError):
        _CLEAR.write_text('5')  # resets the peak; Linux only
    before, start = _memory('VmRSS'), time.process_time()
    yield
    outcome.slowest = max(outcome.slowest, (time.process_time() - start, number))
    outcome.largest = max(outcome.largest, (_memory('VmHWM') - before, number))


def _memory(name: str) -> float:
    """Megabytes in use now (``VmRSS``) or at most since the last reset (``VmHWM``); 0 where the system does not say."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f'{name}:')), 0.0)
