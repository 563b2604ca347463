"""Ours against the original, run in turn in one process: one table, and JSON.

    python -m benchmarks.run [--device cuda] [--size small|medium|full] [--json FILE]

``small`` has whole sampling loops of small networks, and loads a set of files of 0.38 of the real size; ``full`` has
single passes of networks of the published sizes, with random weights, and loads a set of files of the real size;
``medium`` has single passes of a size that a CPU can take. Times of passes are medians, and loops are timed once, on a
CPU in CPU seconds of one thread; ratios are ours to the original's. Each pair of calls also compares its outputs; the
exit code is 1 if they differ by more than rounding explains.

Activations are those of a pass without weights and inputs: measured on a GPU, and counted with tensors without values
elsewhere. PyTorch, einops and numpy are enough. Rows that need more say 'not run' and why. The original comes from
modelscope, and also needs fairscale, rotary-embedding-torch and, for stage 2's loop, torchsde; with xformers on a GPU
it uses that, else PyTorch's attention, as ours does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.run.calls import autoencoder, growth, memory, unets
from benchmarks.run.loading import loading
from benchmarks.run.loops import loops
from benchmarks.run.machine import Machine
from benchmarks.run.rows import Row, all_equal, header
from benchmarks.run.sizes import SIZES, Size

#: In this order: a new process counts the memory that this one has when it starts.
PARTS: dict[str, Callable[[Machine, Size], Iterator[Row]]] = {
    'loading': loading,
    'unets': unets,
    'autoencoder': autoencoder,
    'memory': memory,
    'growth': growth,
    'loops': loops,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write the JSON. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.run', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    parser.add_argument('--size', choices=SIZES, default='small', help="default: small; 'tiny' only shows that it runs")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write everything to this file')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS), metavar='PART', help=', '.join(PARTS))
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)  # threads that wait for each other count as CPU time
    machine, size, rows = Machine(device, SIZES[given.size].rounds), SIZES[given.size], []
    print(header())
    for part in given.parts:
        for row in PARTS[part](machine, size):
            rows.append(row)
            print(row.as_line(), flush=True)
    if given.json:
        content = {'size': given.size, 'machine': machine.described(), 'rows': [row.as_json() for row in rows]}
        given.json.write_text(json.dumps(content, indent=1))
    return 0 if all_equal(rows) else 1


if __name__ == '__main__':
    sys.exit(main())
