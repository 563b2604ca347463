"""A stage: one object with everything that differs between stages, for shared code to look up.

Each stage has a folder with the same files (``arguments``, ``configuration``, ``samplers``, ``sigmas``, ``networks``,
``preprocessor``, ``model``, ``pipeline``, ``training``, ``trainer``) and creates its :class:`Stage` in ``stage.py``.
The object holds only names; the files are imported on first use, so that registering with ModelScope stays cheap.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import choice
from modelscope_i2v.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from modelscope_i2v.diffusion import NoiseSchedule
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.generation.model import GenerationModel
    from modelscope_i2v.generation.pipeline import GenerationPipeline
    from modelscope_i2v.generation.sampler import Sampler
    from modelscope_i2v.training.stages import StageTraining

#: Every stage, as ``module:object``. To add a stage, add its folder and a line here.
STAGES = (
    'modelscope_i2v.image_to_video.stage:IMAGE_TO_VIDEO',
    'modelscope_i2v.video_to_video.stage:VIDEO_TO_VIDEO',
    'modelscope_i2v.i2vgen_xl.stage:I2VGEN_XL',
)


@dataclass(frozen=True, kw_only=True)
class Verb:
    """How a stage appears on the command line.

    Attributes:
        summary: one line for the list of verbs.
        description: text for the verb's own help.
        input_name, input_help: name and help text of the positional argument.
        opener: ``module:function`` that opens the input.
        takes_video: whether the input is a video, not a picture.
        example: options after the input, for an example that shows what the stage can do.
    """

    summary: str
    description: str
    input_name: str
    input_help: str
    opener: str
    example: str
    takes_video: bool = False

    def open_input(self, source: str | bytes | os.PathLike[str], **options: Any) -> Any:
        """Open the input, ready for the pipeline, with ``options`` of the opener; raises InputError if it cannot."""
        return resolve_name(self.opener)(source, **options)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One stage.

    Attributes:
        task: ModelScope's name for the task.
        model, preprocessor, pipeline, trainer: the names by which ModelScope finds our classes.
        default_hub_model: the hub id of the original weights; None if there is no default and a model must be named.
        embedded: the folder of the small model that comes with the package, a name; None if there is none.
        package: the package of the stage, as a module name.
        class_prefix: the prefix of its class names.
        lora_key: the key in its LoRA files, by which other stages know to refuse them.
        verb: how it appears on the command line.
        followed_by: the task of the stage that makes its videos sharper, if there is one.
        unet_file: the name under which the original publishes the weights of its UNet.
    """

    task: str
    model: str
    preprocessor: str
    pipeline: str
    trainer: str
    default_hub_model: str | None
    package: str
    class_prefix: str
    lora_key: str
    verb: Verb
    embedded: str | None = None
    followed_by: str | None = None
    unet_file: str = 'unet.pth'

    @property
    def name(self) -> str:
        """A short name that no other stage has, unlike the task."""
        return self.lora_key

    @property
    def weight_files(self) -> Mapping[str, str]:
        """The names under which the original publishes its weights, by the key of configuration.json."""
        return {
            'ckpt_unet': self.unet_file,
            'ckpt_clip': 'open_clip_pytorch_model.bin',
            'ckpt_autoencoder': 'v2-1_512-ema-pruned.ckpt',
        }

    @property
    def modules(self) -> Mapping[str, str]:
        """The modules in which ModelScope finds the classes, by registry."""
        names = {'MODELS': 'model', 'PIPELINES': 'pipeline', 'PREPROCESSORS': 'preprocessor', 'TRAINERS': 'trainer'}
        return {registry: f'{self.package}.{name}' for registry, name in names.items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> Stage:
        return self  # a copy of a model is of the same stage

    @cached_property
    def arguments(self) -> type[GenerationArguments]:
        """The dataclass of a call's arguments."""
        found: type[GenerationArguments] = self._class('arguments', 'Arguments')
        return found

    @cached_property
    def configuration(self) -> type[StageConfiguration]:
        """The dataclass of section ``model.model_cfg``."""
        found: type[StageConfiguration] = self._class('configuration', 'Configuration')
        return found

    @cached_property
    def samplers(self) -> Mapping[str, Sampler]:
        """The samplers, by name."""
        samplers: Mapping[str, Sampler] = resolve_name(f'{self.package}.samplers:SAMPLERS')
        return samplers

    @property
    def schedule(self) -> NoiseSchedule:
        """The noise schedule that the network was trained on."""
        schedule: NoiseSchedule = resolve_name(f'{self.package}.sigmas:SCHEDULE')
        return schedule

    @property
    def sigmas_of(self) -> Callable[[NoiseSchedule, Any], torch.Tensor]:
        """The function from the schedule and the arguments of a call to the noise levels that it visits."""
        sigmas_of: Callable[[NoiseSchedule, Any], torch.Tensor] = resolve_name(f'{self.package}.sigmas:sigmas_of')
        return sigmas_of

    @cached_property
    def networks(self) -> Mapping[str, Callable[[Any], nn.Module]]:
        """Functions that build the networks from the configuration, by the key of their file in configuration.json."""
        networks: Mapping[str, Callable[[Any], nn.Module]] = resolve_name(f'{self.package}.networks:NETWORKS')
        return networks

    @property
    def model_class(self) -> type[GenerationModel]:
        """The class that ModelScope knows as :attr:`model`."""
        found: type[GenerationModel] = self._class('model', 'Model')
        return found

    @property
    def preprocessor_class(self) -> type[Any]:
        """The class that ModelScope knows as :attr:`preprocessor`."""
        found: type[Any] = self._class('preprocessor', 'Preprocessor')
        return found

    @property
    def pipeline_class(self) -> type[GenerationPipeline]:
        """The class that ModelScope knows as :attr:`pipeline`."""
        found: type[GenerationPipeline] = self._class('pipeline', 'Pipeline')
        return found

    @property
    def training_class(self) -> type[StageTraining]:
        """How the stage is trained: its conditions and its objective."""
        found: type[StageTraining] = self._class('training', 'Training')
        return found

    def check_networks(self, networks: Mapping[str, nn.Module]) -> None:
        """Raise ConfigurationError unless the networks fit each other."""
        resolve_name(f'{self.package}.networks:check_networks')(networks)

    def _class(self, module: str, suffix: str) -> Any:
        return resolve_name(f'{self.package}.{module}:{self.class_prefix}{suffix}')


def stages() -> tuple[Stage, ...]:
    """All stages, in the order of :data:`STAGES`."""
    return tuple(map(resolve_name, STAGES))


def first_stage() -> Stage:
    """The stage that starts from a user's own input: the first of :data:`STAGES`."""
    return stages()[0]


def stages_of(task: str) -> list[Stage]:
    """The stages for ``task``: several generations may share a task.

    Raises:
        InputError: for a task that no stage performs.
    """
    known = stages()
    choice('task', task, dict.fromkeys(stage.task for stage in known), error=InputError)
    return [stage for stage in known if stage.task == task]


def stage_of(task: str) -> Stage:
    """The first stage for ``task``; raises the same errors as :func:`stages_of`."""
    return stages_of(task)[0]
