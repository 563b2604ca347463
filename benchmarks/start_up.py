"""CPU seconds of commands that need no network, each in a process of its own, and of a short video.

    python -m benchmarks.start_up [--runs 5]

prints the least of some runs, user and system time together, as the operating system counts it. One run before them
fills the caches.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).parents[1] / 'examples' / 'cat.jpg'
COMMAND = [sys.executable, '-m', 'modelscope_i2v.cli.main']


def cpu_seconds(command: list[str], runs: int, expected: int = 0) -> float:
    """The least CPU time of ``command`` in ``runs`` runs; it must exit with ``expected``."""
    taken = []
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != expected:
            raise SystemExit(f'{command} exited with {done.returncode}:\n{done.stderr.decode()}')
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        video = str(Path(folder) / 'video.mp4')
        make = ['image-to-video', str(PICTURE), '-o', video, '--steps', '2', '--num-frames', '2', '--device', 'cpu']
        rows = {
            'python -c pass': ([sys.executable, '-c', 'pass'], 0),
            'import modelscope_i2v': ([sys.executable, '-c', 'import modelscope_i2v'], 0),
            '`image-to-video`, 2 steps, 2 frames': ([*COMMAND, *make], 0),  # makes the video for info
            '`--help`': ([*COMMAND, '--help'], 0),
            '`--version`': ([*COMMAND, '--version'], 0),
            '`image-to-video --help`': ([*COMMAND, 'image-to-video', '--help'], 0),
            '`chain --help`': ([*COMMAND, 'chain', '--help'], 0),
            '`info VIDEO`': ([*COMMAND, 'info', video], 0),
            '`autoload --status`': ([*COMMAND, 'autoload', '--status'], 0),
            '`image-to-vide`, a misspelt verb': ([*COMMAND, 'image-to-vide'], 2),
            '`image-to-video ... --sed 3`, a misspelt option': ([*COMMAND, *make, '--sed', '3'], 2),
        }
        for name, (command, expected) in rows.items():
            print(f'| {name} | {cpu_seconds(command, runs, expected):.2f} |', flush=True)


if __name__ == '__main__':
    main()
