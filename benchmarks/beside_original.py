"""Ours beside the original on a CPU, as the tables of docs/performance.md.

``python -m benchmarks.performance --write passes loops loading`` writes them, from the rows of ``benchmarks.run``.
"""

from __future__ import annotations

import dataclasses

import torch

from benchmarks.run.calls import unets
from benchmarks.run.loading import loading
from benchmarks.run.loops import loops
from benchmarks.run.machine import Machine
from benchmarks.run.rows import COLUMNS, header
from benchmarks.run.sizes import SIZES

#: What a CPU takes minutes for: all but this stage would take half an hour more.
STAGE = 'image-to-video'
#: What the tables show, and with networks and videos of which size.
PARTS = {'passes': (unets, 'medium'), 'loops': (loops, 'small'), 'loading': (loading, 'small')}
NOT_RUN = {
    'passes': {
        'stage 2, of the same width': 'not run: `python -m benchmarks.run --size medium` has it',
        'full-size networks': 'not run: both at a time take more than 12 GiB',
        'any of these on a GPU': 'not run: no GPU',
    },
    'loops': {
        'stage 2 and the second generation': 'not run: `python -m benchmarks.run --size small` has them',
        'any of these on a GPU': 'not run: no GPU',
    },
    'loading': {'files of the real size': 'not run: the original takes more than 16 GiB'},
}


def rows(part: str) -> list[str]:
    """The rows of a table. The last ones are what was not run."""
    measure, name = PARTS[part]
    size = dataclasses.replace(SIZES[name], shapes={STAGE: SIZES[name].shapes[STAGE]})
    lines = header().splitlines()
    for row in measure(Machine(torch.device('cpu'), size.rounds), size):
        if not row.part.startswith('share'):
            lines.append(row.as_line())
            print(lines[-1], flush=True)
    gap = ' | '.join(['-'] * (len(COLUMNS) - 2))
    return [*lines, *(f'| {what} | {gap} | {why} |' for what, why in NOT_RUN[part].items())]
