"""The real client of ModelScope in a process of its own: it reads its endpoint once, when it is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(hub, cache):
    """Of a process whose client knows ``hub`` and keeps what it gets in ``cache``."""
    return {
        **os.environ,
        'MODELSCOPE_ENDPOINT': hub.endpoint,
        'MODELSCOPE_CACHE': str(cache),
        'PYTHONPATH': str(ROOT),
        'OMP_NUM_THREADS': '2',
    }


def run(hub, cache, *arguments, cwd=None, timeout=300):
    """Run the interpreter in that environment."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment(hub, cache),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python(hub, cache, code, *arguments, timeout=300):
    """Run ``code``; what it printed last, read as JSON.

    Raises:
        AssertionError: with its standard error, if it failed.
    """
    done = run(hub, cache, '-c', code, *arguments, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
