"""The folder of results: one subfolder per job, with its state and its video. It survives a crash of the server.

A video is written before the state that says so, and both appear whole or not at all.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from modelscope_i2v.errors import InputError, OutputError
from modelscope_i2v.files import output_errors, read_json, write_json
from modelscope_i2v.serving.jobs import STOPPED, Job, JobError

logger = logging.getLogger(__name__)

STATE, VIDEO = 'job.json', 'video.mp4'
_NAME = re.compile(r'video_[0-9a-f]{32}')
#: What a state on disk leaves out: it counts while a process lives.
_NOT_KEPT = ('version', 'progress')


class ResultStore:
    """The results of one engine.

    Args:
        folder: created if it does not exist. One process at a time may use it.
        max_bytes, max_seconds: how much is kept and for how long.

    Raises:
        OutputError: if it cannot be used, or another process uses it.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int, max_seconds: float) -> None:
        self.folder = Path(folder).absolute()
        self.max_bytes, self.max_seconds = max_bytes, max_seconds
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / '.lock')
        with output_errors(self.folder):
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise OutputError(
                    f"Another server keeps its results in '{self.folder}'. Stop it, or name another folder."
                ) from error

    def close(self) -> None:
        """Let others use the folder."""
        self._lock.release()

    def load(self) -> list[Job]:
        """The jobs of earlier processes, oldest first. Those that were not done count as failed."""
        found = []
        with output_errors(self.folder):
            places = list(self.folder.iterdir())
        for place in places:
            if not _NAME.fullmatch(place.name):
                continue
            try:
                job = _parsed(read_json(place / STATE), place.name)
            except (OSError, ValueError, TypeError, KeyError) as error:
                logger.warning("Ignoring the unreadable job in '%s': %s", place, error)
                continue
            found.append(job if job.is_finished else dataclasses.replace(job, status='failed', error=STOPPED))
        return sorted(found, key=lambda job: (job.created_at, job.id))

    def video(self, job_id: str) -> Path:
        """Where the video of a job is, or will be."""
        return self.folder / job_id / VIDEO

    def save(self, job: Job, **changes: Any) -> None:
        """Write the state of a job, with ``changes``; raises OutputError if that fails."""
        state = dataclasses.asdict(dataclasses.replace(job, **changes))
        content = {name: value for name, value in state.items() if name not in _NOT_KEPT}
        with output_errors(self.folder):
            (self.folder / job.id).mkdir(exist_ok=True)
        write_json(content, self.folder / job.id / STATE)

    def delete(self, job_id: str) -> None:
        """Remove a job and its video. What cannot be removed is logged, and stays."""
        place = self.folder / job_id
        try:
            shutil.rmtree(place)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("Cannot remove '%s': %s", place, error)

    def outdated(self, jobs: Iterable[Job], now: float) -> list[Job]:
        """Those of the finished ``jobs`` that are too old, or for which there is no room. The newest one stays."""
        finished = sorted((job for job in jobs if job.is_finished), key=lambda job: job.completed_at or 0, reverse=True)
        total, outdated = 0, []
        for index, job in enumerate(finished):
            total += self._size(job.id)
            too_old = now - (job.completed_at or job.created_at) > self.max_seconds
            if too_old or (index and total > self.max_bytes):
                outdated.append(job)
        return outdated

    def _size(self, job_id: str) -> int:
        try:
            return sum(file.stat().st_size for file in (self.folder / job_id).iterdir())
        except OSError:
            return 0


def _parsed(content: Any, job_id: str) -> Job:
    """The job that a state describes; raises ValueError, TypeError or KeyError if it is not one of ours."""
    if not isinstance(content, Mapping) or content['id'] != job_id:
        raise InputError('It is not the state of this job.')
    error = content.get('error')
    known = {item.name for item in dataclasses.fields(Job)} - set(_NOT_KEPT)
    values = {name: value for name, value in content.items() if name in known}
    values['error'] = None if error is None else JobError(error['code'], error['message'])
    values['recipe'] = tuple(content.get('recipe') or ())
    return Job(**values)
