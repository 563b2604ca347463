"""The rows of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = ('what', 'ours', 'reference', 'ratio', 'difference', 'remark')


class NotRunError(Exception):
    """Something cannot be measured here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement.

    Attributes:
        part: of the benchmark.
        what: was measured.
        unit: of ``ours`` and ``reference``, which are None if they were not measured.
        difference: of the outputs: the root mean square, relative to the size of the reference's.
        bound: the largest difference that is right; None: the outputs are not expected to be equal.
        remark: what has to be said about it, such as why something was not run.
    """

    part: str
    what: str
    unit: str = ''
    ours: float | None = None
    reference: float | None = None
    difference: float | None = None
    bound: float | None = None
    remark: str = ''

    @property
    def ratio(self) -> float | None:
        """Ours, relative to the reference."""
        return self.ours / self.reference if self.ours is not None and self.reference else None

    @property
    def equal(self) -> bool:
        """Whether outputs are as equal as they have to be. NaN is not."""
        return self.bound is None or self.difference is None or self.difference <= self.bound

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {**asdict(self), 'ratio': self.ratio, 'equal': self.equal}

    def as_line(self) -> str:
        """A line of the table."""

        def shown(value: float | None, unit: str = '') -> str:
            return '-' if value is None else f'{value:.3g}{unit and " " + unit}'

        difference = shown(self.difference) + ('' if self.equal else ' TOO LARGE')
        numbers = shown(self.ours, self.unit), shown(self.reference, self.unit), shown(self.ratio), difference
        return f'| {" | ".join((f"{self.part}: {self.what}", *numbers, self.remark))} |'


def guarded(part: str, what: str, rows: Iterator[Row]) -> Iterator[Row]:
    """``rows``, up to what a device cannot do for want of memory or of an operator. A row then says so."""
    try:
        yield from rows
    except RuntimeError as error:
        yield Row(part=part, what=what, remark=f'not run: {str(error).splitlines()[0][:200]}')


def header() -> str:
    """The first two lines of the table."""
    return f'| {" | ".join(COLUMNS)} |\n{"|---" * len(COLUMNS)}|'


def all_equal(rows: Iterable[Row]) -> bool:
    """Whether no row has outputs that differ too much."""
    return all(row.equal for row in rows)
