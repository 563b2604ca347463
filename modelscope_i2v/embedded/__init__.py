"""The models that come with the package: small, trained on emoji and photographs, and ready without a download.

They are ordinary model folders, loaded by the same code as the real ones. ``python -m
demo_training.emoji_and_photographs``, in a checkout, trains them.
"""

from __future__ import annotations

from pathlib import Path

from modelscope_i2v.errors import InputError
from modelscope_i2v.stage import Stage, first_stage, stages_of

FOLDER = Path(__file__).parent


def embedded_model(task: str | None = None) -> str:
    """The folder of the embedded model for ``task`` (by default the first stage's), for ``pipeline(..., model=...)``.

    Raises:
        InputError: for an unknown task, or one without an embedded model.
    """
    task = first_stage().task if task is None else task
    stage = embedded_stage(task)
    if stage is None:
        raise InputError(f"There is no embedded model for {task}. Name a model's folder or a hub id.")
    return str(FOLDER / str(stage.embedded))


def embedded_stage(task: str) -> Stage | None:
    """The stage of the embedded model for ``task``, which need not be the first one; None if there is no such model.

    Raises:
        InputError: for an unknown task.
    """
    return next((stage for stage in stages_of(task) if stage.embedded is not None), None)


def is_embedded(folder: Path) -> bool:
    """Whether ``folder`` is an embedded model's."""
    return folder.parent == FOLDER.resolve()
