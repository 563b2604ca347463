"""What a hostile case may cost."""

import time
from contextlib import contextmanager
from pathlib import Path

import pytest

CLEAR, STATUS = Path('/proc/self/clear_refs'), Path('/proc/self/status')


def memory(name):
    """``VmRSS`` (now) or ``VmHWM`` (the peak since the last reset) of this process, in MB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f'{name}:'))
    return int(line.split()[1]) / 1024


@contextmanager
def bounded(seconds=5, megabytes=200):
    """Fail if the block takes more CPU time or memory than that."""
    if not CLEAR.exists():
        pytest.skip('measures memory by Linux')
    CLEAR.write_text('5')
    before, start = memory('VmRSS'), time.process_time()
    yield
    took, used = time.process_time() - start, memory('VmHWM') - before
    assert took < seconds, f'{took:.1f} s of CPU'
    assert used < megabytes, f'{used:.0f} MB'
