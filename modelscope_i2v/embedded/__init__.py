"""The models that come with the package: small, trained on a small world, and ready without any download.

They are ordinary model folders, loaded by the same code as the real ones, and made by
``python -m demo_training``.
"""

from __future__ import annotations

from pathlib import Path

from modelscope_i2v.checks import choice
from modelscope_i2v.errors import InputError
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, STAGES, Stage


def embedded_model(task: str = IMAGE_TO_VIDEO.task) -> str:
    """The folder of the embedded model for ``task``, for ``pipeline(task=task, model=...)``.

    Raises:
        InputError: for an unknown task.
    """
    choice('task', task, [stage.task for stage in STAGES], error=InputError)
    stage = next(stage for stage in STAGES if stage.task == task)
    return str(Path(__file__).parent / folder_name(stage))


def folder_name(stage: Stage) -> str:
    """Of the embedded model of ``stage``: the name of the hub's."""
    return stage.default_hub_model.rpartition('/')[2]
