"""SIGTERM ends the recipe: at once, or after the step that is being done, with a checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stop:
    """Whether the process has been asked to end. Call it to know."""

    def __init__(self) -> None:
        self._requested = False
        self._deferred = False

    def __call__(self) -> bool:
        return self._requested

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM as a request while the block runs.

        Raises:
            KeyboardInterrupt: when it comes, unless :meth:`deferred`.
        """
        before = signal.signal(signal.SIGTERM, self._request)
        try:
            yield
        except Exception as error:
            if self._requested:  # it came while a library ran, which made another error of it
                raise KeyboardInterrupt('SIGTERM') from error
            raise
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only remember the request while the block runs; the block asks for it between its steps."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _request(self, *_: Any) -> None:
        self._requested = True
        if not self._deferred:
            raise KeyboardInterrupt('SIGTERM')
