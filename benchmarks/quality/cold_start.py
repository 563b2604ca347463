"""Seconds from a cold start to the finished file, including imports, as a user at a terminal sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.quality.photographs import CAT


def cold_start_seconds(model: str | None, stage2_model: str | None) -> dict[str, float]:
    """Wall-clock time of ``image-to-video`` and ``chain`` in separate processes, on two CPU threads.

    Args:
        model, stage2_model: folders; None uses the embedded models, the default of the command line.
    """
    first = ['--model', model] if model else []
    second = ['--stage2-model', stage2_model] if stage2_model else []
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / 'out.mp4')
        calls = {'image-to-video': first, 'chain': [*first, *second]}
        return {f'{verb} (s)': _seconds([verb, str(CAT), '-o', target, *options]) for verb, options in calls.items()}


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, '-m', 'modelscope_i2v.cli.main', *command, '--device', 'cpu', '--no-show-progress'],
        env={**os.environ, 'OMP_NUM_THREADS': '2', 'MKL_NUM_THREADS': '2'},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start
