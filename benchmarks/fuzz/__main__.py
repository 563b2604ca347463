"""Run the cases of all surfaces, or of the named ones, and print what became of them as a table.

    python -m benchmarks.fuzz
    python -m benchmarks.fuzz --cases 300 --seed 1 checkpoints "LoRA"
    python -m benchmarks.fuzz checkpoints --case 17   # one case, with its error

Takes half an hour on two cores. Exits with 1 if a case ended in an error that is not ours, or cost too much.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.fuzz.running import HEAD, MAX_MEGABYTES, MAX_SECONDS, Outcome, run
from benchmarks.fuzz.surfaces import SURFACES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('surfaces', nargs='*', metavar='SURFACE', help=f'default: {", ".join(SURFACES)}')
    parser.add_argument('--cases', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--case', type=int, help='run only this one, and let its error through')
    arguments = parser.parse_args()
    unknown = set(arguments.surfaces) - set(SURFACES)
    if unknown:
        parser.error(f'unknown: {", ".join(sorted(unknown))}')
    chosen = arguments.surfaces or list(SURFACES)
    if arguments.case is not None:
        with tempfile.TemporaryDirectory() as folder:
            case = SURFACES[chosen[0]](Path(folder))
            print(case(random.Random(f'{arguments.seed} {chosen[0]} {arguments.case}')))
        return 0
    print(HEAD)
    failed = False
    for surface in chosen:
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(surface, SURFACES[surface](Path(folder)), arguments.cases, arguments.seed)
        print(outcome.row(), flush=True)
        failed |= _report(outcome)
    return int(failed)


def _report(outcome: Outcome) -> bool:
    """Say on standard error which cases failed."""
    for number, error in outcome.others:
        sys.stderr.write(f'{outcome.surface}, case {number}: {type(error).__name__}: {str(error)[:300]}\n')
    limits = ((outcome.slowest, MAX_SECONDS, 's'), (outcome.largest, MAX_MEGABYTES, 'MB'))
    for (value, number), most, unit in limits:
        sys.stderr.write(f'{outcome.surface}, case {number}: {value:.1f} {unit}\n' if value > most else '')
    return bool(outcome.others) or any(value > most for (value, _), most, _ in limits)


if __name__ == '__main__':
    sys.exit(main())
