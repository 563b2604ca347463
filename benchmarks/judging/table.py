"""A table of measures: what they should reach, what controls reach, and what the videos do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A measure.

    Attributes:
        name: what is measured.
        video: of the model.
        low, high: what it should be, at least and at most.
        controls: of other videos, by their name.
    """

    name: str
    video: float
    low: float = -math.inf
    high: float = math.inf
    controls: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Whether it is as it should be."""
        return self.low <= self.video <= self.high

    @property
    def reach(self) -> str:
        """What it should be, in words."""
        if math.isinf(self.high):
            return '' if math.isinf(self.low) else f'>= {self.low:g}'
        return f'<= {self.high:g}' if math.isinf(self.low) else f'{self.low:g} to {self.high:g}'

    def line(self, columns: tuple[str, ...]) -> str:
        """The row in Markdown; ``(!)`` follows what is not as it should be."""
        cells = [_number(self.controls.get(name)) for name in columns]
        video = _number(self.video) + ('' if self.reached else ' (!)')
        return '| ' + ' | '.join([self.name, self.reach, *cells, video]) + ' |'


def header(columns: tuple[str, ...]) -> str:
    """The first two lines of the table."""
    return '| ' + ' | '.join(['measure', 'reach', *columns, 'the model']) + ' |\n' + '|---' * (3 + len(columns)) + '|'


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.4f}' if abs(value) < 0.1 else f'{value:.2f}'
