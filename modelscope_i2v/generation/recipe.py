"""How a video was made, as plain values: the entry of one stage in the recipe that every MP4 contains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modelscope_i2v.embedded import is_embedded
from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.hub.snapshots import snapshot_identity
from modelscope_i2v.runtime.memory_level import FULL
from modelscope_i2v.version import __version__

if TYPE_CHECKING:
    from modelscope_i2v.generation.model import GenerationModel

#: Arguments that say what to do with a video, not how it was made.
NOT_IN_RECIPE = ('output_video', 'output_type', 'latents', 'callback_on_step_end', 'show_progress', 'force')
EMBEDDED = 'embedded'


def model_identity(folder: Path) -> tuple[str, str | None]:
    """How a recipe names a model: hub id and revision of a snapshot, ``'embedded'``, or the folder's name."""
    resolved = folder.resolve()
    if is_embedded(resolved):
        return EMBEDDED, None
    return snapshot_identity(resolved) or (resolved.name, None)


def recipe_entry(model: GenerationModel, arguments: GenerationArguments) -> dict[str, Any]:
    """The recipe of a video that ``model`` makes from ``arguments``."""
    made = {item.name: getattr(arguments, item.name) for item in dataclasses.fields(arguments)}
    name, revision = model_identity(model.folder.path)
    dtype, autoencoder_dtype = (model.precision.own_dtype(network) for network in (model.unet, model.autoencoder))
    level, weights_dtype = model.execution.level, model.execution.weights_dtype
    return {
        'stage': model.stage.task,
        'model': name,
        'revision': revision,
        **{name: value for name, value in made.items() if name not in NOT_IN_RECIPE},
        'latents_given': arguments.latents is not None,
        **({'lora': model.lora, 'lora_scale': model.lora_scale} if model.lora else {}),
        **({'compiled': True} if model.execution.compiled else {}),
        'dtype': _name(dtype),
        **({} if autoencoder_dtype is torch.float32 else {'autoencoder_dtype': _name(autoencoder_dtype)}),
        **({} if weights_dtype is None else {'weights_dtype': _name(weights_dtype)}),
        **({} if level == FULL else {'memory': level.name}),
        'software': f'modelscope_i2v {__version__}',
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')
