"""Being told to stop by a signal: cleaning up as after Ctrl-C, then exiting with the signal's own code."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: What a service manager and a closed terminal send.
_NAMES = ('SIGTERM', 'SIGHUP')


class Stopped(KeyboardInterrupt):
    """Raised where the program is when the signal arrives; everything that cleans up after Ctrl-C does so after it.

    Attributes:
        code: the exit code, 128 plus the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f'Received {signal.Signals(number).name}.')
        self.code = 128 + number


@contextmanager
def signals_stop() -> Iterator[None]:
    """Inside the ``with`` block, SIGTERM and SIGHUP raise :class:`Stopped`, unless somebody else decides about them."""
    taken: dict[int, Any] = {}
    process = os.getpid()

    def stop(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != process:  # a child that was forked meanwhile ends as usual
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Stopped(number)

    # Python allows handlers in the main thread only. Under nohup, SIGHUP is ignored, and stays so.
    if threading.current_thread() is threading.main_thread():
        for number in [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]:
            if signal.getsignal(number) is signal.SIG_DFL:
                taken[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, before in taken.items():
            signal.signal(number, before)
