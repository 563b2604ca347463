"""Boxes and arrows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot
from matplotlib.patches import FancyBboxPatch

#: Meaning -> fill: what is given or made, what is trained, what is sampled.
FILLS = {'data': '#f4efe4', 'network': '#dce9f5', 'sampler': '#e3f1de', 'plain': '#ffffff'}
INK = '#2b2b33'


@dataclass(frozen=True)
class Box:
    """A rectangle around ``x``, ``y``; sizes in the units of the sheet."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x, self.y - self.height / 2


class Sheet:
    """An empty sheet of ``width`` x ``height`` units."""

    def __init__(self, width: float, height: float) -> None:
        self.figure, self.axes = pyplot.subplots(figsize=(width, height))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(0, height)
        self.axes.axis('off')

    def box(self, text: str, x: float, y: float, width: float, height: float, kind: str = 'plain') -> Box:
        """A box with ``text`` in it."""
        corner = (x - width / 2, y - height / 2)
        style = 'round,pad=0,rounding_size=0.06'
        self.axes.add_patch(
            FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=FILLS[kind], edgecolor=INK, linewidth=0.8)
        )
        self.text(text, x, y)
        return Box(x, y, width, height)

    def text(self, text: str, x: float, y: float, size: float = 7.5, **options: Any) -> None:
        """``text`` around a point."""
        self.axes.text(x, y, text, ha='center', va='center', fontsize=size, color=INK, linespacing=1.3, **options)

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], *, dashed: bool = False, bend: float = 0
    ) -> None:
        """From ``start`` to ``end``; ``bend`` curves it."""
        properties = {
            'arrowstyle': '-|>',
            'color': INK,
            'linewidth': 0.9,
            'linestyle': '--' if dashed else '-',
            'connectionstyle': f'arc3,rad={bend}',
            'shrinkA': 0,
            'shrinkB': 0,
        }
        self.axes.annotate('', xy=end, xytext=start, arrowprops=properties)

    def save(self, path: Path) -> None:
        """Write a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without the version of the library, the same drawing is the same file.
        self.figure.savefig(path, dpi=150, bbox_inches='tight', pad_inches=0.05, metadata={'Software': None})
        pyplot.close(self.figure)
