"""Write measurements as a table and a JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Columns = Mapping[str, Mapping[str, float]]

#: The target range, lowest and highest value, by section and measure.
REACH: dict[str, dict[str, tuple[float, float]]] = {
    'Autoencoder': {'PSNR (dB)': (33, math.inf)},
    'Stage 1, sprites': {
        'retrieval, colour histogram': (0.97, 1),
        'retrieval, 4x4 layout': (0.95, 1),
        'sprite present': (0.97, 1),
        'sprite colour error': (0, 0.04),
        'background error': (0, 0.035),
        'background temporal std': (0, 0.005),
        'sprite speed': (2.0, 3.5),
        'sprite acceleration': (0, 1.6),
        'frame change': (0.7, 1.4),
        'second difference': (0, 2),
        'shape recognised': (0.5, 1),
    },
    'Stage 1, scenes': {'frame change': (0.5, 2), 'second difference': (0, 2)},
    'Photographs': {'own picture is nearest': (1, 1)},
    'Stage 2': {
        'PSNR gain, world': (2, math.inf),
        'PSNR gain, sprite': (2, math.inf),
        'PSNR gain, landscape': (2, math.inf),
        'PSNR gain, layout': (2, math.inf),
        'sprite colour kept': (1, 1),
    },
    'Cold start': {'image-to-video (s)': (0, 30), 'chain (s)': (0, 75)},
}
#: Columns that are not results, but baselines for comparison.
YARDSTICKS = ('real clips', 'autoencoder alone', 'input')


def within(section: str, measure: str, value: float) -> bool | None:
    """Whether a value is in its target range; None if it has none."""
    limits = REACH.get(section, {}).get(measure)
    return None if limits is None else limits[0] <= value <= limits[1]


def misses(section: str, columns: Columns) -> list[str]:
    """Results outside their target range, as ``'column: measure value'``."""
    return [
        f'{column}: {measure} {value:.4g}'
        for column, measures in columns.items()
        if column not in YARDSTICKS
        for measure, value in measures.items()
        if within(section, measure, value) is False
    ]


def table(section: str, columns: Columns) -> str:
    """A Markdown table with one row per measure; results outside their target range are followed by ``(!)``."""
    names = list(dict.fromkeys(name for measures in columns.values() for name in measures))
    lines = [['measure', 'reach', *columns], ['---'] * (2 + len(columns))]
    for name in names:
        cells = [_cell(section, column, name, measures.get(name)) for column, measures in columns.items()]
        lines.append([name, _range(REACH.get(section, {}).get(name)), *cells])
    return '\n'.join([f'### {section}', '', *('| ' + ' | '.join(line) + ' |' for line in lines)])


def write_json(path: Path, settings: Mapping[str, Any], sections: Mapping[str, Columns], **others: Any) -> None:
    """The settings, the columns of all sections, and the missed targets. Missing values become null."""
    content = {
        'settings': settings,
        'sections': sections,
        'misses': {name: missed for name, columns in sections.items() if (missed := misses(name, columns))},
        **others,
    }
    path.write_text(json.dumps(_plain(content), indent=2) + '\n', encoding='utf-8')


def _cell(section: str, column: str, measure: str, value: float | None) -> str:
    if value is None:
        return ''
    missed = column not in YARDSTICKS and within(section, measure, value) is False
    return (
        f'{value:.4f}' + (' (!)' if missed else '') if abs(value) < 10 else f'{value:.2f}' + (' (!)' if missed else '')
    )


def _range(limits: tuple[float, float] | None) -> str:
    if limits is None:
        return ''
    low, high = limits
    if low == high:
        return f'{low:g}'
    if high in (1, math.inf):
        return f'>= {low:g}'
    return f'<= {high:g}' if low == 0 else f'{low:g} to {high:g}'


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
