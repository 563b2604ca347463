"""The thread of one device: takes jobs from the board and brings each to its end. No job's failure ends it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelscope_i2v.errors import DeviceError, Interrupted
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from modelscope_i2v.serving.board import Board, Task
from modelscope_i2v.serving.failures import failure
from modelscope_i2v.serving.generate import Monitor, generate
from modelscope_i2v.serving.jobs import INTERNAL, STOPPED, JobError, Progress
from modelscope_i2v.serving.models import LoadedModels
from modelscope_i2v.serving.plan import Plan
from modelscope_i2v.serving.statistics import Statistics
from modelscope_i2v.serving.store import ResultStore

logger = logging.getLogger(__name__)

#: Seconds between two looks for results that are too old.
SWEEP = 60.0
#: Failures that only their callers need to know about.
_LEVELS = {'cancelled': logging.INFO, 'interrupted': logging.INFO, 'invalid_request': logging.INFO}


class Worker(threading.Thread):
    """One worker.

    Args:
        number: of the worker, as the board knows it.
        sweep: deletes results that are too old or too many; called now and then.
    """

    def __init__(
        self,
        number: int,
        board: Board,
        store: ResultStore,
        models: LoadedModels,
        statistics: Statistics,
        sweep: Callable[[], None],
    ) -> None:
        super().__init__(name=f'worker on {models.execution.device}', daemon=True)
        self._number, self._board, self._store, self._models = number, board, store, models
        self._statistics, self._sweep = statistics, sweep

    def run(self) -> None:
        """Take jobs until the board is closed."""
        while not self._board.is_closed:
            task = self._board.next(self._number, SWEEP)
            if task is not None:
                finish(task.job_id, self._outcome(task), self._board, self._store, self._statistics)
                del task  # it holds the input
            self._sweep()

    def _outcome(self, task: Task) -> JobError | dict[str, Any]:
        """Run a task; returns what its video says of itself, or why there is none."""
        job = self._board.change(task.job_id, status='in_progress', started_at=time.time())
        self._statistics.started(time.time() - job.created_at)
        video = self._store.video(task.job_id)

        def report(progress: Progress) -> None:
            self._board.change(task.job_id, progress=progress)

        try:
            self._generate(task.plan, video, lambda: Monitor(report, task.stop))
            return _facts(video)
        except BaseException as raised:
            with suppress(OSError):
                video.unlink(missing_ok=True)
            error = STOPPED if isinstance(raised, Interrupted) and self._board.is_closed else failure(raised)
            if error.code == INTERNAL:
                logger.exception('Job %s failed.', task.job_id)
                self._models.drop()  # nobody knows what state they are in
            else:
                logger.log(_LEVELS.get(error.code, logging.WARNING), 'Job %s failed: %s', task.job_id, raised)
            return error

    def _generate(self, plan: Plan, video: Path, monitor: Callable[[], Monitor]) -> None:
        """Make a video. If loaded models take the memory for it, once more without the others."""
        try:
            generate(plan, self._models, video, monitor())
        except DeviceError as error:
            if len(self._models.names) < 2:
                raise
            logger.info('Unloading models that are not needed: %s', error)
        else:
            return
        # Outside of the except block, so that the error no longer holds what was computed.
        with self._models.one_at_a_time():
            generate(plan, self._models, video, monitor())


def finish(
    job_id: str, outcome: JobError | dict[str, Any], board: Board, store: ResultStore, statistics: Statistics
) -> None:
    """Give a job its last state, on disk before anybody sees it. Whatever happens, somebody waits for that state.

    Args:
        outcome: why it failed, or what its video says of itself.
    """
    now = time.time()
    last: dict[str, Any] = {'completed_at': now, 'expires_at': now + store.max_seconds}
    if isinstance(outcome, JobError):
        last.update(status='failed', error=outcome)
    else:
        last.update(status='completed', **outcome)
    try:
        store.save(board.get(job_id), **last)
    except Exception as raised:
        logger.exception('The state of job %s cannot be written.', job_id)
        if last['status'] == 'completed':  # it would be lost at the next start
            last.update(status='failed', error=failure(raised))
    statistics.finished(board.change(job_id, done=True, **last))


def _facts(video: Path) -> dict[str, Any]:
    """What a finished video file says of itself."""
    info = probe_video(video)
    return {
        'width': info.width,
        'height': info.height,
        'frames': info.frames,
        'fps': info.fps,
        'recipe': tuple(read_recipe(video)),
    }
