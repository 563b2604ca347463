"""Read a LoRA file and its description, which is in the metadata of its ``.safetensors`` header."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors
import torch
from torch import nn

from modelscope_i2v.checks import choice, integer, number
from modelscope_i2v.errors import CheckpointError, ConfigurationError, ModelScopeI2VError, shown
from modelscope_i2v.files import exists
from modelscope_i2v.networks.unet import SpatioTemporalUNet
from modelscope_i2v.weights.lora.layers import LAYER_GROUPS
from modelscope_i2v.weights.reader import open_state_dict

FORMAT = 'modelscope_i2v.lora'
FORMAT_VERSION = 1
MAX_RANK = 4096
MAX_ALPHA = 1e6


@dataclass(frozen=True, kw_only=True)
class LoraDescription:
    """How a LoRA was made.

    Attributes:
        task: the LoRA key of the stage whose UNet it changes, for example ``'image-to-video'``.
        rank, alpha: the change of a weight is ``alpha / rank * B A``.
        layers: groups of changed layers, see :data:`~modelscope_i2v.weights.lora.layers.LAYER_GROUPS`.
        unet: parameters of the UNet that it was trained on.
    """

    task: str
    rank: int
    alpha: float
    layers: tuple[str, ...]
    unet: Mapping[str, Any]

    def to_metadata(self) -> dict[str, str]:
        """The description as strings, the only type that the header can hold; other types become JSON."""
        return {
            'format': FORMAT,
            'format_version': str(FORMAT_VERSION),
            'task': self.task,
            'rank': str(self.rank),
            'alpha': str(self.alpha),
            'layers': json.dumps(self.layers),
            'unet': json.dumps(dict(self.unet)),
        }


def unet_parameters(unet: nn.Module) -> dict[str, Any]:
    """The parameters of ``unet`` as JSON types.

    Raises:
        ConfigurationError: if it is not one of this package's UNets.
    """
    if not isinstance(unet, SpatioTemporalUNet):
        raise ConfigurationError(
            f"A LoRA changes one of this package's UNets, found {type(unet).__name__}. Pass the UNet alone."
        )
    parameters: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(unet.config)))
    return parameters


def check_rank_alpha_layers(
    rank: Any, alpha: Any, layers: Any, error: type[ModelScopeI2VError]
) -> tuple[int, float, tuple[str, ...]]:
    """Return the three as their types, or raise ``error``, which says which one is wrong and what is allowed."""
    if not isinstance(layers, (list, tuple)) or not layers:
        allowed = ', '.join(map(repr, LAYER_GROUPS))
        raise error(f"'layers' must be a non-empty list of {allowed}, found {shown(layers)}.")
    groups = tuple(choice(f'layers[{index}]', item, LAYER_GROUPS, error=error) for index, item in enumerate(layers))
    if len(set(groups)) < len(groups):
        raise error(f"'layers' names a group twice: {shown(layers)}. Remove one.")
    whole = integer('rank', rank, 1, MAX_RANK, error=error)
    return whole, number('alpha', alpha, 0, MAX_ALPHA, open_low=True, error=error), groups


def read_lora_file(path: str | os.PathLike[str]) -> tuple[LoraDescription, dict[str, torch.Tensor]]:
    """Read the description and the tensors of a file that :func:`~modelscope_i2v.training.lora.save_lora` wrote.

    Raises:
        CheckpointError: if it is missing, damaged, another kind of file or in a newer format.
    """
    if not exists(path):
        raise CheckpointError(f"There is no LoRA file '{os.fspath(path)}'. Check the path.")
    opened = open_state_dict(path)  # before checking the metadata: its errors say what is wrong with a file
    tensors, metadata = opened.tensors, _metadata(path)
    if metadata.get('format') != FORMAT:
        raise CheckpointError(
            f"'{os.fspath(path)}' holds {len(tensors)} tensors, but is not a LoRA of this package: its metadata lacks "
            f"format='{FORMAT}'. Use a file that `modelscope-i2v train` wrote; whole networks belong in the "
            "model's folder."
        )
    try:
        description = _description(metadata)
    except (CheckpointError, ValueError, LookupError, RecursionError) as error:
        raise CheckpointError(
            f"The metadata of the LoRA file '{os.fspath(path)}' cannot be used: {error} Save it again, or update "
            'modelscope_i2v if the file was written by a newer version.'
        ) from error
    opened.fill(None)
    return description, tensors


def _metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a ``.safetensors`` file; empty if it is something else, or damaged."""
    try:
        with safetensors.safe_open(path, framework='pt') as file:
            return dict(file.metadata() or {})
    except (safetensors.SafetensorError, OSError, ValueError):
        return {}


def _description(metadata: Mapping[str, str]) -> LoraDescription:
    missing = [name for name in ('format_version', 'task', 'rank', 'alpha', 'layers', 'unet') if name not in metadata]
    if missing:
        raise CheckpointError(f'it lacks {", ".join(map(repr, missing))}.')
    if metadata['format_version'] != str(FORMAT_VERSION):
        found = metadata['format_version']
        raise CheckpointError(f"'format_version' must be '{FORMAT_VERSION}', found '{found}'.")
    rank, alpha, layers, unet = (json.loads(metadata[name]) for name in ('rank', 'alpha', 'layers', 'unet'))
    rank, alpha, layers = check_rank_alpha_layers(rank, alpha, layers, CheckpointError)
    if not isinstance(unet, dict):
        raise CheckpointError(f"'unet' must be a JSON object, found {shown(unet)}.")
    return LoraDescription(task=metadata['task'], rank=rank, alpha=alpha, layers=layers, unet=unet)
