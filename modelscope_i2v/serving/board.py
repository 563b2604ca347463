"""The jobs of an engine and who waits for them: the only state that threads share."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

from modelscope_i2v.errors import shown
from modelscope_i2v.serving.jobs import ClosedError, Job, NotFinishedError, QueueFullError, UnknownJobError
from modelscope_i2v.serving.plan import Plan


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What a worker needs of a job, for as long as it waits or runs. ``stop`` interrupts it.

    Attributes:
        workers: those that can do it, by number.
    """

    job_id: str
    plan: Plan
    workers: frozenset[int]
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)


class Board:
    """Every job, the queue, and the tasks that run. All methods may be called from any thread.

    Args:
        jobs: of earlier processes, oldest first.
        most_waiting: how many jobs may wait.
    """

    def __init__(self, jobs: Iterable[Job], most_waiting: int) -> None:
        # Guards everything below, and is notified of every change.
        self._changed = threading.Condition()
        self._jobs = {job.id: job for job in jobs}
        self._most_waiting = most_waiting
        self._waiting: deque[Task] = deque()
        self._running: dict[str, Task] = {}
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether no more jobs are taken."""
        return self._closed

    def get(self, job_id: str) -> Job:
        """A job as it is now; raises UnknownJobError if there is none."""
        with self._changed:
            if job_id not in self._jobs:
                raise UnknownJobError(f'There is no video {shown(job_id)}. It may have been deleted, or be too old.')
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """All jobs, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def counts(self) -> tuple[int, int]:
        """How many jobs wait, and how many run."""
        with self._changed:
            return len(self._waiting), len(self._running)

    def position(self, job_id: str) -> int | None:
        """How many jobs in the queue are before this one; None if it does not wait."""
        with self._changed:
            return next((index for index, task in enumerate(self._waiting) if task.job_id == job_id), None)

    def check_room(self) -> None:
        """Raise QueueFullError or ClosedError if no job can be added."""
        with self._changed:
            if self._closed:
                raise ClosedError('The server is shutting down.')
            if len(self._waiting) >= self._most_waiting:
                raise QueueFullError(f'{len(self._waiting)} jobs are waiting already. Try again later.')

    def add(self, job: Job, plan: Plan, workers: Collection[int]) -> None:
        """Put a new job into the queue for the ``workers`` that can do it; raises as :meth:`check_room`."""
        with self._changed:
            self.check_room()
            self._jobs[job.id] = job
            self._waiting.append(Task(job.id, plan, frozenset(workers)))
            self._changed.notify_all()

    def next(self, worker: int, timeout: float) -> Task | None:
        """Take the job for ``worker`` that has waited longest; None after ``timeout`` seconds, or if closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._first(worker), timeout)
            task = self._first(worker)
            if self._closed or task is None:
                return None
            self._waiting.remove(task)
            self._running[task.job_id] = task
            return task

    def _first(self, worker: int) -> Task | None:
        return next((task for task in self._waiting if worker in task.workers), None)

    def change(self, job_id: str, *, done: bool = False, **changes: Any) -> Job:
        """Replace a job by its next state. ``done``: its task no longer runs."""
        with self._changed:
            job = self.get(job_id)
            self._jobs[job_id] = dataclasses.replace(job, version=job.version + 1, **changes)
            if done:
                self._running.pop(job_id, None)
            self._changed.notify_all()
            return self._jobs[job_id]

    def withdraw(self, job_id: str) -> bool:
        """Take a job out of the queue, or tell its task to stop. Returns whether it was in the queue."""
        with self._changed:
            self.get(job_id)
            waiting = next((task for task in self._waiting if task.job_id == job_id), None)
            if waiting is not None:
                self._waiting.remove(waiting)
            elif job_id in self._running:
                self._running[job_id].stop.set()
            return waiting is not None

    def remove(self, job_id: str) -> None:
        """Forget a finished job; raises NotFinishedError for any other."""
        with self._changed:
            if not self.get(job_id).is_finished:
                raise NotFinishedError(f'The job {job_id} is not done yet. Cancel it first.')
            del self._jobs[job_id]
            self._changed.notify_all()

    def wait(self, job_id: str, ready: Callable[[Job], bool], timeout: float | None) -> Job:
        """A job once it is ``ready`` or ``timeout`` seconds have passed; raises UnknownJobError if it is removed."""
        with self._changed:
            self._changed.wait_for(lambda: job_id not in self._jobs or ready(self._jobs[job_id]), timeout)
            return self.get(job_id)

    def page(self, limit: int, after: str | None, order: Literal['asc', 'desc']) -> tuple[list[Job], bool]:
        """Up to ``limit`` jobs after the job ``after``, by time, and whether there are more."""
        jobs = self.all() if order == 'asc' else self.all()[::-1]
        if after is not None:
            self.get(after)
        start = next((index + 1 for index, job in enumerate(jobs) if job.id == after), 0)
        return jobs[start : start + limit], start + limit < len(jobs)

    def close(self) -> list[str]:
        """Take no more jobs and tell all tasks to stop. Returns the jobs that waited."""
        with self._changed:
            self._closed = True
            left = [task.job_id for task in self._waiting]
            self._waiting.clear()
            for task in self._running.values():
                task.stop.set()
            self._changed.notify_all()
            return left
