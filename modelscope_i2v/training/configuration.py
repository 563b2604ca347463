"""The configuration file of ``modelscope-i2v train``: which model to train, on which data, for how long, and where."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from modelscope_i2v.checks import choice, error_context, integer, number, text
from modelscope_i2v.errors import ConfigurationError, nearest, shown
from modelscope_i2v.files import exists, read_json
from modelscope_i2v.runtime.device import DTYPES
from modelscope_i2v.training.data.datasets import ClipSettings
from modelscope_i2v.training.data.mixture import MixtureSettings
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.lora import LoraSettings

Settings = TypeVar('Settings')


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """The videos that are generated during training to see how well it goes.

    Attributes:
        count: the number of examples to generate a video for; 0 turns validation off.
        data: the examples to validate on; None uses the first ones of the training data.
        steps, guidance_scale, seed: the arguments of the pipeline call; None uses the model's default.
    """

    count: int = 2
    data: str | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        integer('count', self.count, 0, 64)
        integer('seed', self.seed, 0)
        if self.data is not None:
            text('data', self.data)
        if self.steps is not None:
            integer('steps', self.steps, 1, 1000)
        if self.guidance_scale is not None:
            number('guidance_scale', self.guidance_scale, 0, 1000)


@dataclass(frozen=True, kw_only=True)
class TrainingConfiguration:
    """The settings for fine-tuning a model of any stage.

    Attributes:
        model, model_revision: the model's folder or hub id; its configuration says which stage it is for.
        data: a folder or a JSON Lines file, see :func:`~modelscope_i2v.training.data.sources.find_examples`.
        output: the folder for checkpoints, logs, the latent cache and the result.
        clips, mixture, loop, validation: the settings of each part. ``clips.height`` and ``width`` must suit the model.
        lora: the LoRA to train; None trains all weights, which only makes sense for small networks.
        offset_noise, conditioning_dropout: see :class:`~modelscope_i2v.training.objective.Objective`.
        activation_checkpointing: saves memory (3.3 times less for a LoRA, 1.6 times less for all weights, at full size)
            but takes longer, because activations are computed twice.
        dtype: the dtype of the frozen weights; without LoRA, ``'auto'`` means float32.
        cpu: train on the CPU even if there is a GPU.
        cache: the folder of the latent cache; None uses a folder in ``output``.
        variants: how many different clips (starts, crops, mirrorings) of each example are encoded and kept on disk.

    Raises:
        ConfigurationError: for an impossible value. It names the key, what was found and what is allowed.
    """

    model: str
    data: str
    output: str
    model_revision: str | None = None
    clips: ClipSettings = field(default_factory=ClipSettings)
    mixture: MixtureSettings = field(default_factory=MixtureSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    lora: LoraSettings | None = field(default_factory=LoraSettings)
    offset_noise: float = 0.1
    conditioning_dropout: float = 0.1
    activation_checkpointing: bool = False
    dtype: str = 'auto'
    cpu: bool = False
    cache: str | None = None
    variants: int = 4

    def __post_init__(self) -> None:
        for key in ('model', 'data', 'output'):
            text(key, getattr(self, key))
        for key in ('model_revision', 'cache'):
            if getattr(self, key) is not None:
                text(key, getattr(self, key))
        number('offset_noise', self.offset_noise, 0, 10)
        number('conditioning_dropout', self.conditioning_dropout, 0, 1)
        choice('dtype', self.dtype, ('auto', *DTYPES))
        integer('variants', self.variants)
        for key in ('activation_checkpointing', 'cpu'):
            if not isinstance(getattr(self, key), bool):
                raise ConfigurationError(f"'{key}' must be true or false, found {shown(getattr(self, key))}.")
        if self.lora is None and self.dtype not in ('auto', 'fp32'):
            raise ConfigurationError(
                f"'dtype' is {self.dtype!r}, but trained weights must be 'fp32': small steps would be lost in "
                "rounding. Use 'loop.precision' for faster arithmetic, or 'lora'."
            )


#: The sections of the file and the class that holds each of them.
SECTIONS = {
    'clips': ClipSettings,
    'mixture': MixtureSettings,
    'loop': LoopSettings,
    'validation': ValidationSettings,
    'lora': LoraSettings,
}


def read_training_configuration(path: str | os.PathLike[str]) -> TrainingConfiguration:
    """Read the configuration from a JSON file; relative paths in it are relative to that file.

    Raises:
        ConfigurationError: if the file is missing or not a JSON object, or for an unknown key or an impossible value.
    """
    file = Path(path)
    try:
        content = read_json(file)
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no training configuration '{file}'.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ConfigurationError(f"The training configuration '{file}' cannot be read as JSON: {reason}.") from error
    if isinstance(content, dict):
        sections = [(content, ('data', 'output', 'cache')), (content.get('validation'), ('data',))]
        for section, keys in sections:
            for key in keys:
                if isinstance(section, dict) and isinstance(section.get(key), str):
                    section[key] = str(file.parent / section[key])
        model = content.get('model')
        if isinstance(model, str) and exists(file.parent / model) and (file.parent / model).is_dir():
            content['model'] = str(file.parent / model)
    return parse_training_configuration(content, file)


def parse_training_configuration(content: Any, file: str | os.PathLike[str]) -> TrainingConfiguration:
    """Build the configuration from plain values; errors name ``file`` as the source."""
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"'{file}' must hold a JSON object, found a {type(content).__name__}.")
    nested = {
        name: None if content[name] is None and name == 'lora' else _parse(kind, content[name], file, name)
        for name, kind in SECTIONS.items()
        if name in content
    }
    return _parse(TrainingConfiguration, {**content, **nested}, file, '')


def _parse(kind: type[Settings], section: Any, file: str | os.PathLike[str], place: str) -> Settings:
    """Build one section. Unlike in a model's configuration, an unknown key is an error: it is probably a typo."""
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"'{place}' in '{file}' must be a JSON object, found {shown(section)}.")
    items = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in section:
        if key not in items:
            where = f' of section {place!r}' if place else ''
            raise ConfigurationError(
                f"Unknown key '{key}'{where} in '{file}'.{nearest(str(key), items)} Known: {', '.join(items)}."
            )
    nothing = dataclasses.MISSING
    missing = [
        name
        for name, item in items.items()
        if name not in section and item.default is nothing and item.default_factory is nothing
    ]
    if missing:
        raise ConfigurationError(f"'{file}' lacks the required {', '.join(map(repr, missing))}.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    with error_context(file, place or 'top level'):
        return kind(**values)
