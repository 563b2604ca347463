"""A queue of jobs, one worker a device, and the results. All methods may be called from any thread."""

from __future__ import annotations

import atexit
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from modelscope_i2v.checks import choice, integer
from modelscope_i2v.errors import InputError, Interrupted
from modelscope_i2v.plugin.registration import register
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.serving.board import Board
from modelscope_i2v.serving.failures import failure
from modelscope_i2v.serving.jobs import (
    STOPPED,
    ClosedError,
    Job,
    NotFinishedError,
    QueueFullError,
    UnknownJobError,
    VideoRequest,
)
from modelscope_i2v.serving.limits import Limits
from modelscope_i2v.serving.models import Catalogue, LoadedModels, ServedModel
from modelscope_i2v.serving.plan import plan
from modelscope_i2v.serving.room import devices_with_room
from modelscope_i2v.serving.statistics import Statistics
from modelscope_i2v.serving.store import ResultStore
from modelscope_i2v.serving.worker import Worker, finish

#: Seconds that closing waits for a step to end.
PATIENCE = 60.0
#: How many requests are looked at together: an opened picture can take a gigabyte.
OPENED_TOGETHER = 2


class Engine:
    """Makes videos, one after the other on each device.

    >>> with Engine(embedded_models(), 'results') as engine:
    ...     job = engine.submit(VideoRequest(content=Path('photo.jpg').read_bytes(), arguments={'steps': 4}))
    ...     print(engine.wait(job.id).status, engine.result(job.id))

    Attributes:
        catalogue: the served models.
        execution: where and how the first worker's models run.

    Args:
        models: what is served; the first one that takes an input is its default.
        folder: where results are kept, also for the next engine that gets this folder.
        limits: of requests, of the queue, and of what is kept.
        devices: one worker each, and a job goes to the first free one that has the memory for it. None is a GPU if
            there is one, else the CPU. The same device twice has two workers, which share its memory.
        model_bytes: bytes of weights that stay loaded on each device; None: a share of what is free now.
        **execution: ``dtype``, ``attention``, ``compile``, ``autoencoder_dtype``, ``memory``, ``weights_dtype``, as
            in :func:`modelscope_i2v.load`.

    Raises:
        InputError, DeviceError: for models or devices that cannot be used. OutputError: for the folder.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        folder: str | os.PathLike[str],
        *,
        limits: Limits | None = None,
        devices: Sequence[str | None] = (None,),
        model_bytes: int | None = None,
        **execution: Any,
    ) -> None:
        register()
        self.catalogue, self.limits, self.statistics = Catalogue(models), limits or Limits(), Statistics()
        executions = [Execution.resolve(device, **execution) for device in devices]
        where = [each.device for each in executions]
        self._loaded = [LoadedModels(each, model_bytes, where.count(each.device)) for each in executions]
        self.execution = self._loaded[0].execution
        self._store = ResultStore(folder, max_bytes=self.limits.kept_bytes, max_seconds=self.limits.kept_seconds)
        self._opening = threading.BoundedSemaphore(OPENED_TOGETHER)
        self._board = Board(self._store.load(), self.limits.queue)
        self._sweep()
        self._workers = [
            Worker(number, self._board, self._store, own, self.statistics, self._sweep)
            for number, own in enumerate(self._loaded)
        ]
        for own, worker in zip(self._loaded, self._workers, strict=True):
            own.execution.announce()
            worker.start()
        atexit.register(self.close)  # PyTorch does not survive that its threads go on while Python ends

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, request: VideoRequest) -> Job:
        """Check a request and put it into the queue.

        Raises:
            QueueFullError: if too many wait. DeviceError: if no device has the memory for it. UnknownModelError,
                UnknownJobError, NotFinishedError, TooLargeError, InputError, TypeError: for what is wrong with the
                request. OutputError: if the disk is full. ClosedError: if the engine is closed.
        """
        self._board.check_room()
        source = None if request.source is None else self.result(request.source)
        with self._opening:
            made = plan(request, self.catalogue, self.limits, source)
        workers = devices_with_room(made, self._loaded)
        job = Job(
            id=f'video_{secrets.token_hex(16)}',
            status='queued',
            model=made.shares[0].model.name,
            stages=len(made.shares),
            created_at=time.time(),
            seed=made.seed,
            width=made.width,
            height=made.height,
            frames=made.frames,
            fps=made.fps,
            prompt=request.prompt,
            source=request.source,
        )
        self._store.save(job)
        try:
            self._board.add(job, made, workers)
        except (QueueFullError, ClosedError):
            self._store.delete(job.id)
            raise
        return job

    def job(self, job_id: str) -> Job:
        """A job as it is now; raises UnknownJobError if there is none."""
        return self._board.get(job_id)

    def jobs(
        self, *, limit: int = 20, after: str | None = None, order: Literal['asc', 'desc'] = 'desc'
    ) -> tuple[list[Job], bool]:
        """A page of jobs by the time they were submitted, and whether there are more.

        Args:
            limit: at most 100.
            after: the id of the last job of the page before.
            order: ``'desc'``: the newest first.
        """
        integer('limit', limit, 1, 100, error=InputError)
        choice('order', order, ('asc', 'desc'), error=InputError)
        return self._board.page(limit, after, order)

    def position(self, job_id: str) -> int | None:
        """How many jobs in the queue are before this one; None if it does not wait."""
        return self._board.position(job_id)

    def wait(self, job_id: str, *, seen: int | None = None, timeout: float | None = None) -> Job:
        """The job once it is finished or, with ``seen``, as soon as its version is another one.

        Args:
            timeout: seconds after which the job is returned as it is.
        """
        return self._board.wait(
            job_id, lambda job: job.is_finished or (seen is not None and job.version != seen), timeout
        )

    def events(self, job_id: str) -> Iterator[Job]:
        """The states of a job, from now until it is finished. States may be left out if nobody asks in time."""
        job = self.job(job_id)
        yield job
        while not job.is_finished:
            job = self.wait(job_id, seen=job.version)
            yield job

    def result(self, job_id: str) -> Path:
        """The video file of a completed job.

        Raises:
            UnknownJobError, NotFinishedError: if there is none.
        """
        job = self.job(job_id)
        if job.status != 'completed':
            why = 'has failed' if job.status == 'failed' else 'is not done yet'
            raise NotFinishedError(f'The job {job_id} {why}: it has no video.')
        video = self._store.video(job_id)
        if not video.is_file():
            raise UnknownJobError(f'The video of the job {job_id} is gone. It may have been deleted.')
        return video

    def cancel(self, job_id: str) -> Job:
        """Stop a job: at once if it waits, before the next layer of its network if it runs (after the step if that is
        compiled). A finished job stays as it is."""
        if self._board.withdraw(job_id):
            self._finish(job_id, failure(Interrupted()))
        return self.job(job_id)

    def delete(self, job_id: str) -> None:
        """Remove a finished job and its video.

        Raises:
            UnknownJobError: if there is no such job. NotFinishedError: if it waits or runs; cancel it first.
        """
        self._board.remove(job_id)
        self._store.delete(job_id)

    @property
    def first_device(self) -> LoadedModels:
        """The first device: its memory, and the models on it."""
        return self._loaded[0]

    @property
    def counts(self) -> tuple[int, int]:
        """How many jobs wait, and how many run."""
        return self._board.counts()

    @property
    def is_healthy(self) -> bool:
        """Whether every worker works."""
        return not self._board.is_closed and all(worker.is_alive() for worker in self._workers)

    def close(self) -> None:
        """Stop all jobs and wait for the workers. Jobs that are not done fail; results stay. May be called twice."""
        if self._board.is_closed:
            return
        atexit.unregister(self.close)
        for job_id in self._board.close():
            self._finish(job_id, STOPPED)
        for worker in self._workers:
            worker.join(PATIENCE)
        self._store.close()

    def _finish(self, job_id: str, error: Any) -> None:
        finish(job_id, error, self._board, self._store, self.statistics)

    def _sweep(self) -> None:
        """Delete results that are too old or too many."""
        for job in self._store.outdated(self._board.all(), time.time()):
            with suppress(UnknownJobError):  # another thread was faster
                self.delete(job.id)
