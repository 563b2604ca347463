"""Loading a set of files, ours and the original, each in processes of its own, in turn."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.run.machine import Machine
from benchmarks.run.rows import Row
from benchmarks.run.sizes import Size

NEEDED = ('modelscope', 'safetensors', 'open_clip')
FOUND = re.compile(r'loaded in \S+ s, (\S+) CPU s, peak resident (\S+) GiB')
ROUNDS = 2
#: What is loaded, by what the rows call it: the end of the folder's name, and further options.
LOADS = {
    'float32 files as on the hub, to float32': ('', []),
    'converted files, to float16': ('-fp16', ['--dtype', 'fp16']),
}
ORIGINAL = 'the original'
SIZES = {'full': 'of the real size', 'reduced': 'of 0.38 of the real size'}


def loading(machine: Machine, size: Size) -> Iterator[Row]:
    """CPU seconds and peak resident memory, on the CPU, until every weight of stage 1 was read.

    The original only knows the files of the hub, and loads them to float32. They take 15 GB in a temporary folder, or
    5.7 GB if the set is reduced, and it takes up to 18 GiB of memory, or 8.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing or not size.loading:
        why = f'{", ".join(missing)} not installed' if missing else '--size small and full have it'
        yield Row(part='loading', what='files of stage 1', remark=f'not run: {why}')
        return
    with tempfile.TemporaryDirectory() as folder:
        hub = Path(folder) / 'model'
        options = ['--as-on-the-hub', *(['--reduced'] if size.loading == 'reduced' else [])]
        _run(hub, [*options, '--convert'])
        remark = ''
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in (*LOADS, ORIGINAL)}
        for _ in range(ROUNDS):
            for name, values in taken.items():
                end, more = LOADS.get(name, ('', ['--original']))
                found = _measured(Path(f'{hub}{end}'), [*options, *more])
                if isinstance(found, str):
                    remark = f'{name} not run: {found}'
                else:
                    values.append(found)
    for name in LOADS:
        for index, (what, unit) in enumerate((('time', 's'), ('peak resident memory', 'GiB'))):
            ours, reference = (
                statistics.median(each[index] for each in taken[side]) if taken[side] else None
                for side in (name, ORIGINAL)
            )
            said = f'stage 1 {SIZES[size.loading]}, {name}, {what}'
            yield Row(part='loading', what=said, unit=unit, ours=ours, reference=reference, remark=remark)


def _run(folder: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'benchmarks.full_size_load', str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _measured(folder: Path, options: list[str]) -> tuple[float, float] | str:
    done = _run(folder, options)
    found = FOUND.search(done.stdout)
    if found is None:
        return (done.stderr.strip().splitlines() or ['no output'])[-1]
    return float(found[1]), float(found[2])
