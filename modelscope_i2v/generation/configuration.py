"""``configuration.json`` as frozen dataclasses that check themselves.

Only the keys of the hub's own files are required; every other key is optional, with the reference's value as default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from modelscope_i2v.checks import choice, integer, legal_size, number, text
from modelscope_i2v.configuration_file import as_mapping, parse_section
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.media.limits import MAX_FPS, MAX_SIDE, MIN_FPS
from modelscope_i2v.networks.parameters import AutoencoderParameters, ImageToVideoUNetParameters, UNetParameters
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, Stage
from modelscope_i2v.video_to_video.geometry import Grid
from modelscope_i2v.video_to_video.prompts import NEGATIVE_PROMPT, POSITIVE_PROMPT

#: The largest seed that every torch generator takes.
MAX_SEED = 2**63 - 1
#: Keeps sizes countable; long before it memory runs out.
MAX_FRAMES = 1_000_000
#: Solvers of stage 1 and how many steps each needs.
IMAGE_TO_VIDEO_STEPS = {'ddim': 50, 'dpmpp_2m': 25, 'unipc': 20, 'euler': 30}
#: The same of stage 2.
VIDEO_TO_VIDEO_STEPS = {'dpmpp_2m_sde': 30, 'heun': 50, 'dpmpp_2m': 25, 'unipc': 20}

Configuration = TypeVar('Configuration', bound='StageConfiguration')


@dataclass(frozen=True, kw_only=True)
class ModelArguments:
    """Section ``model.model_args``: the weight files, relative to the model's folder, and two defaults.

    Attributes:
        solver_mode: stage 2 only; ``'fast'`` is a quicker solver, everything else the normal one.
    """

    ckpt_unet: str
    ckpt_clip: str
    ckpt_autoencoder: str
    seed: int | None = None
    solver_mode: str | None = None

    def __post_init__(self) -> None:
        for key in ('ckpt_unet', 'ckpt_clip', 'ckpt_autoencoder'):
            text(key, getattr(self, key))
        if self.solver_mode is not None:
            text('solver_mode', self.solver_mode)
        if self.seed is not None:
            integer('seed', self.seed, 0, MAX_SEED)


@dataclass(frozen=True, kw_only=True)
class StageConfiguration:
    """Section ``model.model_cfg``: what both stages have.

    Attributes:
        batch_size: kept for the hub's files; one call makes one video.
        target_fps: frames per second of a video that says nothing itself; stage 1's network is conditioned on it.
        max_frames: frames of a video of stage 1; frames that stage 2's network sees at a time.
        steps, guidance_scale, guidance_rescale, guidance_min_timestep, solver: defaults of the call's arguments; None
            means the solver's own number of steps, or the stage's own solver.
        clip: an open_clip architecture name, or an open_clip model configuration.
    """

    batch_size: int = 1
    target_fps: float = 8
    max_frames: int = 32
    steps: int | None = None
    guidance_scale: float = 3.0
    guidance_rescale: float = 0.0
    guidance_min_timestep: int = 0
    solver: str | None = None
    unet: UNetParameters = field(default_factory=UNetParameters)
    autoencoder: AutoencoderParameters = field(default_factory=AutoencoderParameters)
    clip: str | Mapping[str, Any] = 'ViT-H-14'

    solvers: ClassVar[Mapping[str, int]]

    def __post_init__(self) -> None:
        integer('batch_size', self.batch_size)
        integer('max_frames', self.max_frames, 1, MAX_FRAMES)
        number('target_fps', self.target_fps, MIN_FPS, MAX_FPS)
        number('guidance_scale', self.guidance_scale, 0, 1000)
        number('guidance_rescale', self.guidance_rescale, 0, 1)
        integer('guidance_min_timestep', self.guidance_min_timestep, 0, 1000)
        if self.solver is not None:
            choice('solver', self.solver, self.solvers)
        if self.steps is not None:
            integer('steps', self.steps, 1, 1000)
        if not isinstance(self.clip, (str, Mapping)):
            raise ConfigurationError(f"'clip' must be an architecture name or a configuration, found {self.clip!r}.")
        if not self.unet.in_channels == self.unet.out_channels == self.autoencoder.embed_dim:
            raise ConfigurationError(
                f"'unet.in_channels' ({self.unet.in_channels}), 'unet.out_channels' ({self.unet.out_channels}) and "
                f"'autoencoder.embed_dim' ({self.autoencoder.embed_dim}) must be equal: channels of the latents."
            )

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the arguments of a call fit the networks."""
        raise NotImplementedError

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """What the model's folder says about the arguments of a call."""
        names = ('steps', 'guidance_scale', 'guidance_rescale', 'guidance_min_timestep', 'solver')
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return given if model_args is None or model_args.seed is None else {**given, 'seed': model_args.seed}


@dataclass(frozen=True, kw_only=True)
class ImageToVideoConfiguration(StageConfiguration):
    """Stage 1.

    Attributes:
        latent_hei, latent_wid: size of the latents (pixels divided by the autoencoder's factor, 8 in the real one).
        timestep_spacing: default of the call's argument; None is the solver's own.
    """

    latent_hei: int = 32
    latent_wid: int = 56
    solver: str | None = 'ddim'
    timestep_spacing: str | None = None
    unet: ImageToVideoUNetParameters = field(default_factory=ImageToVideoUNetParameters)

    solvers = IMAGE_TO_VIDEO_STEPS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timestep_spacing is not None:
            choice('timestep_spacing', self.timestep_spacing, ('leading', 'trailing'))
        factor = self.unet.downsampling_factor
        for key in ('latent_hei', 'latent_wid'):
            if integer(key, getattr(self, key), 1, MAX_SIDE // self.autoencoder.downsampling_factor) % factor:
                raise ConfigurationError(f"'{key}' must be a multiple of {factor}, found {getattr(self, key)}.")

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the sizes fit the networks."""
        multiple = self.autoencoder.downsampling_factor * self.unet.downsampling_factor
        for name in ('height', 'width'):
            legal_size(name, getattr(arguments, name), multiple)

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """What the model's folder says about the arguments of a call."""
        pixels = self.autoencoder.downsampling_factor
        return {
            **super().call_defaults(model_args),
            **({} if self.timestep_spacing is None else {'timestep_spacing': self.timestep_spacing}),
            'num_frames': self.max_frames,
            'height': self.latent_hei * pixels,
            'width': self.latent_wid * pixels,
            'fps': self.target_fps,
        }


@dataclass(frozen=True, kw_only=True)
class VideoToVideoConfiguration(StageConfiguration):
    """Stage 2.

    Attributes:
        height, width: in pixels; their product is the area that videos of another aspect get.
        noise_level: how much of the input is noised away, of 1000.
        positive_prompt: follows the user's text.
        negative_prompt: what guidance leads away from.
        latent_hei, latent_wid: in the hub's files, but without effect.
    """

    height: int = 720
    width: int = 1280
    noise_level: int = 600
    guidance_scale: float = 7.5
    guidance_rescale: float = 0.2
    positive_prompt: str = POSITIVE_PROMPT
    negative_prompt: str = NEGATIVE_PROMPT
    latent_hei: Any = None
    latent_wid: Any = None

    solvers = VIDEO_TO_VIDEO_STEPS

    def __post_init__(self) -> None:
        super().__post_init__()
        integer('noise_level', self.noise_level, 1, 999)
        for key in ('positive_prompt', 'negative_prompt'):
            text(key, getattr(self, key))
        try:
            self.grid.check(*(integer(key, getattr(self, key), 1, MAX_SIDE) for key in ('height', 'width')))
        except InputError as error:
            raise ConfigurationError(str(error)) from error

    @property
    def grid(self) -> Grid:
        """The sizes in pixels that the networks can take: latents that can be halved at every level."""
        pixels, levels = self.autoencoder.downsampling_factor, self.unet.downsampling_factor
        return Grid(levels * pixels, 2 % levels * pixels, levels * pixels)

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the sizes fit the networks, and the overlap its windows."""
        self.grid.check(arguments.height, arguments.width)
        if arguments.window_overlap is not None:
            integer('window_overlap', arguments.window_overlap, 0, self.max_frames - 1, error=InputError)

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """What the model's folder says about the arguments of a call."""
        return {
            **super().call_defaults(model_args),
            'noise_level': self.noise_level,
            'negative_prompt': self.negative_prompt,
            'solver_mode': 'fast' if model_args is not None and model_args.solver_mode == 'fast' else 'normal',
        }


def parse_model_arguments(section: Any, file: str | os.PathLike[str]) -> ModelArguments:
    """Check section ``model.model_args`` of ``file``; the model page's spelling ``Seed`` is accepted for ``seed``."""
    if isinstance(section, Mapping) and 'Seed' in section:
        section = {'seed': section['Seed'], **{key: value for key, value in section.items() if key != 'Seed'}}
    return parse_section(ModelArguments, section, file, 'model.model_args')


def parse_image_to_video(section: Any, file: str | os.PathLike[str]) -> ImageToVideoConfiguration:
    """Check section ``model.model_cfg`` of stage 1's ``file``, which errors name."""
    return _parse_stage(ImageToVideoConfiguration, ImageToVideoUNetParameters, section, file)


def parse_video_to_video(section: Any, file: str | os.PathLike[str]) -> VideoToVideoConfiguration:
    """Check section ``model.model_cfg`` of stage 2's ``file``, which errors name."""
    return _parse_stage(VideoToVideoConfiguration, UNetParameters, section, file)


def parse_stage(stage: Stage, section: Any, file: str | os.PathLike[str]) -> StageConfiguration:
    """Check section ``model.model_cfg`` of the ``file`` of a model of ``stage``."""
    return (parse_image_to_video if stage == IMAGE_TO_VIDEO else parse_video_to_video)(section, file)


def _parse_stage(
    kind: type[Configuration], unet: type[UNetParameters], section: Any, file: str | os.PathLike[str]
) -> Configuration:
    place = 'model.model_cfg'
    fields = as_mapping(section, file, place)
    nested = {
        name: parse_section(parameters, fields[name], file, f'{place}.{name}')
        for name, parameters in (('unet', unet), ('autoencoder', AutoencoderParameters))
        if name in fields
    }
    return parse_section(kind, {**fields, **nested}, file, place)
