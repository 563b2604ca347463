"""Seconds from a cold start to the finished file, including imports, as a user at a terminal sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CAT = Path(__file__).parents[2] / 'examples' / 'cat.jpg'


def cold_start_seconds(verb: str, options: Sequence[str] = ()) -> float:
    """Wall-clock time of ``modelscope-i2v VERB examples/cat.jpg`` in a process of its own, on two CPU threads."""
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / 'out.mp4')
        command = [sys.executable, '-m', 'modelscope_i2v.cli.main', verb, str(CAT), '-o', target, *options]
        start = time.perf_counter()
        subprocess.run(
            [*command, '--device', 'cpu', '--no-show-progress'],
            env={**os.environ, 'OMP_NUM_THREADS': '2', 'MKL_NUM_THREADS': '2'},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - start
