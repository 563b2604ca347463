"""Loading a set of files of the real size, ours and the original, each in processes of its own, in turn."""

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
FOUND = re.compile(r'loaded in (\S+) s, peak resident (\S+) GiB')


def loading(machine: Machine, size: Size) -> Iterator[Row]:
    """Seconds and peak resident memory, on the CPU, for float16 files of stage 1 (5 GB, in a temporary folder)."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing or not size.loading:
        why = f'{", ".join(missing)} not installed' if missing else '--size full has it'
        yield Row(part='loading', what='a set of files of the real size', remark=f'not run: {why}')
        return
    with tempfile.TemporaryDirectory() as folder:
        taken: dict[str, list[tuple[float, float]]] = {'ours': [], 'reference': []}
        remark = ''
        for _ in range(min(2, machine.rounds)):
            for name, options in (('ours', []), ('reference', ['--original'])):
                found = _load(Path(folder) / 'model', options)
                if isinstance(found, str):
                    remark = f'{name} not run: {found}'
                else:
                    taken[name].append(found)
    for index, (what, unit) in enumerate((('time', 's'), ('peak resident memory', 'GiB'))):
        medians = {name: statistics.median(each[index] for each in values) for name, values in taken.items() if values}
        yield Row(
            part='loading', what=f'stage 1, float16 files to float32, {what}', unit=unit, **medians, remark=remark
        )


def _load(folder: Path, options: list[str]) -> tuple[float, float] | str:
    command = [sys.executable, '-m', 'benchmarks.full_size_load', str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = FOUND.search(done.stdout)
    if found is None:
        return (done.stderr.strip().splitlines() or ['no output'])[-1]
    return float(found[1]), float(found[2])
