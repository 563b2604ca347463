"""Requests and jobs, as values that do not change: an engine replaces a job by its next state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelscope_i2v.checks import choice, integer, number
from modelscope_i2v.errors import InputError, ModelScopeI2VError, shown
from modelscope_i2v.media.limits import MAX_FRAMES

Status = Literal['queued', 'in_progress', 'completed', 'failed']
#: What a job does while it is in progress, in this order, once for each stage.
Phase = Literal['loading', 'sampling', 'decoding']

#: Codes of the errors of jobs.
CANCELLED, INTERNAL = 'cancelled', 'internal_error'


class UnknownJobError(InputError):
    """There is no job of that id, or it has been deleted."""


class QueueFullError(InputError):
    """Too many jobs are waiting."""


class NotFinishedError(InputError):
    """A job has no result, or none yet."""


class UnknownModelError(InputError):
    """The engine does not serve a model of that name."""


class UnreadableError(InputError):
    """The picture or video of a request cannot be read, or is too long and narrow to be shown."""


class TooLargeError(InputError):
    """A request has more bytes than the engine takes."""


class ClosedError(ModelScopeI2VError, RuntimeError):
    """The engine has been closed."""


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """What somebody asks for.

    Attributes:
        content: the bytes of a picture or video file.
        source: the id of a completed job whose video is the input; either this or ``content``.
        model: the name of a served model; None: the first one that takes the input.
        prompt: what the video shows, for models that take a text; empty: nothing is said.
        arguments: arguments of a call, as in the command line. Strings are converted to the type of the argument. With
            two stages, they are those of :func:`modelscope_i2v.chain`.
        seconds: the length of the video, instead of ``num_frames``.
        stages: 2 makes the video of the first stage sharper.
        preview: whether the progress has a small picture of the video while it is sampled.

    Raises:
        InputError: for a value that is not allowed.
    """

    content: bytes | None = None
    source: str | None = None
    model: str | None = None
    prompt: str = ''
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    stages: int = 1
    preview: bool = False

    def __post_init__(self) -> None:
        if (self.content is None) == (self.source is None):
            raise InputError(
                "Give a picture or a video as 'input_reference', or the id of a finished video as 'source_video_id': "
                'one of the two.'
            )
        if not isinstance(self.content, (bytes, type(None))):
            raise InputError(f'The input must be the bytes of a file, found {type(self.content).__name__}.')
        for name in ('source', 'model'):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise InputError(f"'{name}' must be a string, found {shown(getattr(self, name))}.")
        if not isinstance(self.prompt, str):
            raise InputError(f"'prompt' must be a string, found {shown(self.prompt)}.")
        if self.seconds is not None:
            number('seconds', self.seconds, 0, MAX_FRAMES, open_low=True, error=InputError)
        integer('stages', self.stages, 1, 2, error=InputError)


@dataclass(frozen=True)
class JobError:
    """Why a job failed: a code for programs and a message for people."""

    code: str
    message: str


#: Why jobs fail that were not done when the server was stopped.
STOPPED = JobError('interrupted', 'The server was stopped before this job was done. Send it again.')


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        stage: counted from 1.
        task: of the stage.
        step: how many of ``steps`` are done.
        seconds_left: until this stage has been sampled; None: not known yet.
        preview: the video so far, as a small animated WebP; None: nobody asked for it, or there is none yet.
    """

    stage: int
    task: str
    phase: Phase
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    preview: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it was at one moment. Times are seconds since the epoch.

    Attributes:
        version: counts the changes of this job.
        width, height, frames, fps: of the video, as planned; as made once the job is completed.
        recipe: how the video was made, one dict per stage; empty until the job is completed.
        source: the id of the job whose video was the input.
    """

    id: str
    status: Status
    model: str
    stages: int
    created_at: float
    seed: int
    width: int
    height: int
    frames: int
    fps: float
    prompt: str = ''
    source: str | None = None
    version: int = 0
    started_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    progress: Progress | None = None
    error: JobError | None = None
    recipe: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        choice('status', self.status, ('queued', 'in_progress', 'completed', 'failed'), error=InputError)

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ('completed', 'failed')

    @property
    def seconds(self) -> float:
        """The length of the video."""
        return self.frames / self.fps

    @property
    def percent(self) -> int:
        """How much of the work is done, 0..100; 100 only for completed jobs."""
        if self.status == 'completed':
            return 100
        if self.progress is None:
            return 0
        within = self.progress.step / self.progress.steps if self.progress.steps else 0.0
        return min(99, int(100 * (self.progress.stage - 1 + within) / self.stages))
