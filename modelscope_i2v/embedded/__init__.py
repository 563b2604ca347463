"""The models that come with the package: small, trained on a toy world, and ready without a download.

They are ordinary model folders, loaded by the same code as the real ones. ``python -m demo_training``, in a
checkout, trains them.
"""

from __future__ import annotations

from pathlib import Path

from modelscope_i2v.errors import InputError
from modelscope_i2v.stage import Stage, first_stage, stage_of

FOLDER = Path(__file__).parent


def embedded_model(task: str | None = None) -> str:
    """The folder of the embedded model for ``task`` (by default the first stage's), for ``pipeline(..., model=...)``.

    Raises:
        InputError: for an unknown task, or one without an embedded model.
    """
    stage = first_stage() if task is None else stage_of(task)
    if not has_embedded(stage):
        raise InputError(f"There is no embedded model for {stage.task}. Name a model's folder or a hub id.")
    return str(FOLDER / folder_name(stage))


def has_embedded(stage: Stage) -> bool:
    """Whether a model for ``stage`` comes with the package."""
    return stage.default_hub_model is not None and (FOLDER / folder_name(stage)).is_dir()


def folder_name(stage: Stage) -> str:
    """The folder name of the embedded model of ``stage``: the name of the hub's model."""
    return str(stage.default_hub_model).rpartition('/')[2]


def is_embedded(folder: Path) -> bool:
    """Whether ``folder`` is an embedded model's."""
    return folder.parent == FOLDER.resolve()
