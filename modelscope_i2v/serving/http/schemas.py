"""What the API answers, as in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.jobs import Job, Phase, Status
from modelscope_i2v.serving.models import ServedModel


class ErrorBody(BaseModel):
    """Why something failed."""

    message: str
    code: str
    type: str | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer with a status from 400."""

    error: ErrorBody


class Video(BaseModel):
    """A job and its video. Times are seconds since the epoch."""

    id: str
    object: Literal['video'] = 'video'
    status: Status
    model: str
    prompt: str
    progress: int = Field(ge=0, le=100, description='percent of the work')
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = Field(None, description='when the video is deleted')
    seconds: str = Field(description='length of the video')
    size: str = Field(description='WIDTHxHEIGHT')
    num_frames: int
    fps: float
    seed: int
    stages: int
    stage: int | None = Field(None, description='the stage that runs, from 1')
    task: str | None = Field(None, description='what that stage does')
    phase: Phase | None = None
    step: int | None = None
    steps: int | None = None
    seconds_left: float | None = Field(None, description='until the stage that runs has been sampled')
    queue_position: int | None = Field(None, description='jobs in the queue before this one')
    source_video_id: str | None = None
    recipe: list[dict[str, Any]] | None = Field(None, description='how a completed video was made, one entry per stage')
    error: ErrorBody | None = None

    @classmethod
    def of(cls, job: Job, engine: Engine) -> Video:
        """How the API shows a job."""
        now = job.progress
        return cls(
            id=job.id,
            status=job.status,
            model=job.model,
            prompt=job.prompt,
            progress=job.percent,
            created_at=int(job.created_at),
            completed_at=None if job.completed_at is None else int(job.completed_at),
            expires_at=None if job.expires_at is None else int(job.expires_at),
            seconds=f'{job.seconds:g}',
            size=f'{job.width}x{job.height}',
            num_frames=job.frames,
            fps=job.fps,
            seed=job.seed,
            stages=job.stages,
            stage=None if now is None else now.stage,
            task=None if now is None else now.task,
            phase=None if now is None else now.phase,
            step=None if now is None else now.step,
            steps=None if now is None else now.steps,
            seconds_left=None if now is None or now.seconds_left is None else round(now.seconds_left, 1),
            queue_position=engine.position(job.id) if job.status == 'queued' else None,
            source_video_id=job.source,
            recipe=[dict(entry) for entry in job.recipe] or None,
            error=None if job.error is None else ErrorBody(message=job.error.message, code=job.error.code),
        )


class VideoPage(BaseModel):
    """A page of videos."""

    object: Literal['list'] = 'list'
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(BaseModel):
    """The answer to DELETE: ``deleted`` is false for a job that was not done, which is cancelled instead."""

    id: str
    object: Literal['video.deleted'] = 'video.deleted'
    deleted: bool


class Model(BaseModel):
    """A model that can be asked for."""

    id: str
    object: Literal['model'] = 'model'
    created: int = 0
    owned_by: str = 'modelscope_i2v'
    task: str
    takes_text: bool

    @classmethod
    def of(cls, model: ServedModel) -> Model:
        """How the API shows a model."""
        return cls(id=model.name, task=model.stage.task, takes_text=model.takes_text)


class ModelPage(BaseModel):
    """All models."""

    object: Literal['list'] = 'list'
    data: list[Model]


class Health(BaseModel):
    """Whether the server works, and how busy it is."""

    status: Literal['ok', 'failing']
    waiting: int
    running: int
