"""Runs one plan, and says how far it is. Runs in the thread of a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import Interrupted
from modelscope_i2v.generation.chain import first_video
from modelscope_i2v.serving.interruption import interruptible
from modelscope_i2v.serving.jobs import Phase, Progress
from modelscope_i2v.serving.models import LoadedModels
from modelscope_i2v.serving.pictures import animation
from modelscope_i2v.serving.plan import Plan, Share

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.preview import Preview

#: Frames per second of previews.
PREVIEW_FPS = 8.0


class Monitor:
    """Reports the progress of a plan, and interrupts it when asked.

    Args:
        report: called in the worker's thread whenever something changes.
        stop: set by another thread to interrupt the plan: before the next layer, or after the step if the networks are
            compiled.
    """

    def __init__(self, report: Callable[[Progress], None], stop: threading.Event) -> None:
        self._report, self._stop = report, stop
        self._stage, self._task, self._steps, self._began = 0, '', 0, 0.0
        self._preview: Preview | None = None
        self._picture: bytes | None = None

    def load(self, task: str) -> None:
        """The next stage begins: its model is loaded if necessary."""
        self._stage, self._task, self._steps, self._picture = self._stage + 1, task, 0, None
        self._say('loading', 0)

    def sample(self, arguments: GenerationArguments, preview: Preview | None) -> None:
        """The stage's call begins; with ``preview``, pictures of its video are reported."""
        self._preview = preview
        self._steps = int(getattr(arguments, 'steps_taken', None) or arguments.steps or 0)
        self._began = time.monotonic()
        self._say('sampling', 0)

    def after_step(self, pipeline: Any, step: int, timestep: float, values: Mapping[str, Any]) -> None:
        """A sampling step is done: the ``callback_on_step_end`` of a call."""
        if self._preview is not None:
            self._picture = animation(self._preview(values['latents']).numpy(), PREVIEW_FPS)
        done = step + 1
        passed = time.monotonic() - self._began
        left = max(0, self._steps - done) * passed / done
        self._say('sampling' if done < self._steps else 'decoding', done, left)

    def check(self) -> None:
        """Raise Interrupted if the plan must stop."""
        if self._stop.is_set():
            raise Interrupted('The job was cancelled.')

    def _say(self, phase: Phase, step: int, left: float | None = None) -> None:
        self.check()
        steps = max(step, self._steps)
        stage, task, picture = self._stage, self._task, self._picture
        self._report(
            Progress(stage=stage, task=task, phase=phase, step=step, steps=steps, seconds_left=left, preview=picture)
        )


def generate(plan: Plan, models: LoadedModels, output: Path, monitor: Monitor) -> None:
    """Make the video of a plan and write it to ``output``, whole or not at all.

    Frames stay in memory between stages.

    Raises:
        Interrupted: if the monitor was told to stop. Anything that loading and calls raise.
    """
    source = plan.open()
    *before, last = plan.shares
    for share in before:
        source = _frames(share, models, source, monitor, plan.preview)
    pipeline: Any = _loaded(last, models, monitor, plan.preview)
    with _watched(pipeline, models, monitor):
        pipeline(source, output_video=output, **_call(last, monitor))
    monitor.check()


def _frames(share: Share, models: LoadedModels, source: Any, monitor: Monitor, preview: bool) -> Any:
    """The video of a stage that is not the last one. Its pipeline can be unloaded when this returns."""
    pipeline = _loaded(share, models, monitor, preview)
    with _watched(pipeline, models, monitor):
        return first_video(pipeline, source, _call(share, monitor), None)[0]


def _loaded(share: Share, models: LoadedModels, monitor: Monitor, preview: bool) -> Any:
    monitor.load(share.model.stage.task)
    pipeline = models.get(share.model)
    monitor.sample(share.arguments, models.preview(share.model) if preview else None)
    return pipeline


def _watched(pipeline: Any, models: LoadedModels, monitor: Monitor) -> AbstractContextManager[None]:
    return nullcontext() if models.execution.compiled else interruptible(pipeline.model, monitor.check)


def _call(share: Share, monitor: Monitor) -> dict[str, Any]:
    return {**share.call, 'callback_on_step_end': monitor.after_step, 'show_progress': False}
