"""How many jobs there were and how long they took, since the engine was started."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from modelscope_i2v.serving.jobs import CANCELLED, Job


@dataclass(frozen=True)
class Totals:
    """Sums since the start; times in seconds.

    Attributes:
        finished: number of jobs by outcome: ``'completed'``, ``'failed'``, ``'cancelled'``.
        started: number of jobs that left the queue, and how long they waited in it.
        ran: number of jobs that were completed, and how long they ran.
    """

    finished: dict[str, int]
    started: int
    waited_seconds: float
    ran: int
    ran_seconds: float


class Statistics:
    """Counts jobs, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finished: Counter[str] = Counter({'completed': 0, 'failed': 0, 'cancelled': 0})
        self._started, self._waited, self._ran = 0, 0.0, 0.0

    def started(self, waited: float) -> None:
        """A job left the queue after ``waited`` seconds."""
        with self._lock:
            self._started += 1
            self._waited += waited

    def finished(self, job: Job) -> None:
        """A job is finished."""
        cancelled = job.error is not None and job.error.code == CANCELLED
        with self._lock:
            self._finished['cancelled' if cancelled else job.status] += 1
            if job.status == 'completed':
                self._ran += (job.completed_at or 0) - (job.started_at or 0)

    def totals(self) -> Totals:
        """The sums so far."""
        with self._lock:
            ran = self._finished['completed']
            return Totals(dict(self._finished), self._started, self._waited, ran, self._ran)
