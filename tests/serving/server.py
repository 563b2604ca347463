"""A real server in a process of its own."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager

from tests.folders import IMAGE

ROOT = IMAGE.parents[3]


@contextmanager
def serving(*options, results, log, **environment):
    """``(address, process)`` of ``modelscope-i2v studio`` on a free port of this machine."""
    command = [sys.executable, '-m', 'modelscope_i2v.cli.main', 'studio', '--port', '0', '--results', str(results)]
    with (
        log.open('ab') as errors,
        subprocess.Popen(
            [*command, '--device', 'cpu', *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, 'PYTHONPATH': str(ROOT), **environment},
            text=True,
        ) as process,
    ):
        try:
            found = re.search(r'http://\S+', process.stdout.readline())
            assert found, log.read_text()
            yield found[0], process
        finally:
            process.terminate()
            process.wait(60)
