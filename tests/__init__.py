"""The tests. Each pytest-xdist worker, with the processes that it starts, gets its share of the cores."""

import os

_workers = os.environ.get('PYTEST_XDIST_WORKER_COUNT')
if _workers:  # more threads than cores wait for each other ten times as long as they work
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // int(_workers))))
