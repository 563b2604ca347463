"""Progress: a bar where somebody watches, one line per phase everywhere else."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any


def progress_bar(description: str, total: int, *, show: bool = True) -> Any:
    """A context manager with ``update(n=1)``, for ``total`` units of work.

    It is a tqdm bar in a terminal or a notebook. Anywhere else (log files, services, pipes) it writes one line to
    standard error that says what starts. It is silent unless ``show``.
    """
    from tqdm.auto import tqdm

    show = show and sys.stderr is not None  # services may have none
    watched = show and (sys.stderr.isatty() or 'ipykernel' in sys.modules)
    if show and not watched:
        with suppress(OSError, ValueError):  # closed or full: no reason to stop
            sys.stderr.write(f'{description} ({total})\n')
            sys.stderr.flush()
    return tqdm(total=total, desc=description, disable=not watched, leave=False)
