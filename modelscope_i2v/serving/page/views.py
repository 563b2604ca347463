"""What a session sees of its jobs: properties of components, from the engine's state alone."""

from __future__ import annotations

from typing import Any

from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.jobs import Job, UnknownJobError
from modelscope_i2v.serving.page import fragments
from modelscope_i2v.serving.page.session import Session
from modelscope_i2v.serving.page.sheets import contact_sheet
from modelscope_i2v.serving.page.texts import say
from modelscope_i2v.serving.page.texts.errors import explained

Look = dict[str, Any]


class Views:
    """Looks of an engine's jobs. A look holds the properties of one component."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def job(self, job_id: str | None) -> Job | None:
        """A job; None if there is none of that id, or no longer."""
        if job_id is None:
            return None
        try:
            return self._engine.job(job_id)
        except UnknownJobError:
            return None

    def jobs(self, job_ids: tuple[str, ...] | list[str]) -> list[Job]:
        """Those of the jobs that there are."""
        return [job for job in map(self.job, job_ids) if job is not None]

    def running(self, session: Session, step: int) -> bool:
        """Whether a step waits for a job."""
        return any(not job.is_finished for job in self.jobs(session.runs[step]))

    def step_of(self, job: Job) -> int:
        """The step that shows a job."""
        return 1 if job.source is None and len(job.recipe) <= 1 and not self._takes_video(job) else 2

    def tiles(self, session: Session, step: int, count: int) -> list[Look]:
        """The looks of a step's ``count`` places for videos."""
        pieces = self._pieces(session, step)
        return [{'value': piece, 'visible': bool(piece)} for piece in [*pieces, *[''] * (count - len(pieces))][:count]]

    def buttons(self, session: Session, step: int) -> tuple[Look, Look, Look]:
        """Those that make, make again, and cancel."""
        running = self.running(session, step)
        again = step == 1 and bool(session.runs[step]) and not running
        return {'interactive': not running}, {'visible': again}, {'visible': running}

    def sheet(self, session: Session, step: int) -> Look:
        """All variations of a step on one picture, if there are several and they are done. It takes a moment."""
        jobs = [job for job in self.jobs(session.runs[step]) if job.status == 'completed']
        if len(jobs) < 2 or self.running(session, step):
            return {'value': '', 'visible': False}
        picture = contact_sheet([self._engine.result(job.id) for job in jobs])
        return {'value': fragments.sheet(picture, session.language), 'visible': True}

    def gallery(self, session: Session) -> Look:
        """The videos that this browser has made."""
        made = [job for job in self.jobs(session.made) if job.status == 'completed']
        return {'value': fragments.gallery(made, session.language)}

    def source(self, session: Session, own: bool) -> Look:
        """What step 2 makes larger."""
        return {'value': fragments.source(self.job(session.source), own, session.language)}

    def _pieces(self, session: Session, step: int) -> list[str]:
        language = session.language
        error = session.errors[step]
        if error is not None:
            said = say(language, error) if isinstance(error, str) else explained(language, error)
            return [fragments.trouble(language, said)]
        if not session.runs[step]:
            return [fragments.empty(language, step)]
        return [self._piece(session, job_id, number) for number, job_id in enumerate(session.runs[step], 1)]

    def _piece(self, session: Session, job_id: str, number: int) -> str:
        job = self.job(job_id)
        if job is None:
            return fragments.trouble(session.language, say(session.language, 'gone'))
        place, before = self._engine.position(job_id), session.uploads.get(job_id)
        if before is None and self.job(job.source) is not None:
            before = fragments.content(str(job.source))
        return fragments.tile(job, number, place, session.language, self._engine.catalogue, before)

    def _takes_video(self, job: Job) -> bool:
        return any(model.takes_video for model in self._engine.catalogue.models if model.name == job.model)
