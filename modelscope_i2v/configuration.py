"""``configuration.json`` as frozen dataclasses that check themselves.

Only the keys of the hub's own files are required; every other key is optional, with the reference's value as default.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from modelscope_i2v.checks import choice, integer, number, text
from modelscope_i2v.errors import ConfigurationError, nearest
from modelscope_i2v.networks.parameters import AutoencoderParameters, ImageToVideoUNetParameters
from modelscope_i2v.registration import Stage

logger = logging.getLogger(__name__)

FILE_NAME = 'configuration.json'
#: The largest seed that every torch generator takes.
MAX_SEED = 2**63 - 1
#: The slowest video that can be written, in frames per second.
MIN_FPS = 0.001
#: Solvers of stage 1 and how many steps each needs.
IMAGE_TO_VIDEO_STEPS = {'ddim': 50, 'dpmpp_2m': 25, 'unipc': 20, 'euler': 30}

Parameters = TypeVar('Parameters')


@dataclass(frozen=True, kw_only=True)
class ModelArguments:
    """Section ``model.model_args``: the weight files, relative to the model's folder, and the default seed."""

    ckpt_unet: str
    ckpt_clip: str
    ckpt_autoencoder: str
    seed: int | None = None

    def __post_init__(self) -> None:
        for key in ('ckpt_unet', 'ckpt_clip', 'ckpt_autoencoder'):
            text(key, getattr(self, key))
        if self.seed is not None:
            integer('seed', self.seed, 0, MAX_SEED)


@dataclass(frozen=True, kw_only=True)
class ImageToVideoConfiguration:
    """Section ``model.model_cfg`` of stage 1.

    Attributes:
        batch_size: kept for the hub's files; one call makes one video.
        target_fps: frames per second that the network is conditioned on.
        max_frames: frames of a video.
        latent_hei, latent_wid: size of the latents (pixels divided by the autoencoder's factor, 8).
        steps, guidance_scale, solver: defaults of the call's arguments; ``steps`` None means the solver's own.
        clip: an open_clip architecture name, or an open_clip model configuration.
    """

    batch_size: int = 1
    target_fps: float = 8
    max_frames: int = 32
    latent_hei: int = 32
    latent_wid: int = 56
    steps: int | None = None
    guidance_scale: float = 3.0
    solver: str = 'ddim'
    unet: ImageToVideoUNetParameters = field(default_factory=ImageToVideoUNetParameters)
    autoencoder: AutoencoderParameters = field(default_factory=AutoencoderParameters)
    clip: str | Mapping[str, Any] = 'ViT-H-14'

    def __post_init__(self) -> None:
        for key in ('batch_size', 'max_frames'):
            integer(key, getattr(self, key))
        number('target_fps', self.target_fps, MIN_FPS, 1000)
        number('guidance_scale', self.guidance_scale, 0, 1000)
        choice('solver', self.solver, IMAGE_TO_VIDEO_STEPS)
        if self.steps is not None:
            integer('steps', self.steps, 1, 1000)
        if not isinstance(self.clip, (str, Mapping)):
            raise ConfigurationError(f"'clip' must be an architecture name or a configuration, found {self.clip!r}.")
        factor = self.unet.downsampling_factor
        for key in ('latent_hei', 'latent_wid'):
            if integer(key, getattr(self, key)) % factor:
                raise ConfigurationError(f"'{key}' must be a multiple of {factor}, found {getattr(self, key)}.")
        if not self.unet.in_channels == self.unet.out_channels == self.autoencoder.embed_dim:
            raise ConfigurationError(
                f"'unet.in_channels' ({self.unet.in_channels}), 'unet.out_channels' ({self.unet.out_channels}) and "
                f"'autoencoder.embed_dim' ({self.autoencoder.embed_dim}) must be equal: channels of the latents."
            )

    def call_defaults(self) -> dict[str, Any]:
        """What this file says about the arguments of a call."""
        pixels = self.autoencoder.downsampling_factor
        given = {
            'steps': self.steps,
            'guidance_scale': self.guidance_scale,
            'solver': self.solver,
            'num_frames': self.max_frames,
            'height': self.latent_hei * pixels,
            'width': self.latent_wid * pixels,
            'fps': self.target_fps,
        }
        return {name: value for name, value in given.items() if value is not None}


def read_configuration(model_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """The ``configuration.json`` of a model's folder.

    Raises:
        ConfigurationError: if the folder or the file is missing, or if it is not a JSON object.
    """
    path = Path(model_dir) / FILE_NAME
    if not Path(model_dir).is_dir():
        raise ConfigurationError(
            f"There is no model folder '{model_dir}'. Check the path, or give a hub id owner/name."
        )
    try:
        # A byte order mark is no part of JSON, but ModelScope reads over it too.
        content = json.loads(path.read_text(encoding='utf-8-sig'), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The model folder '{model_dir}' has no {FILE_NAME}, so it is not a ModelScope model. Download it again, "
            'or check the path.'
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"'{path}' is not valid JSON: {error}. Repair it or download it again.") from error
    except OSError as error:
        raise ConfigurationError(f"'{path}' cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"'{path}' must hold a JSON object, found a {type(content).__name__}.")
    return content


def check_name(content: Mapping[str, Any], file: str | os.PathLike[str], place: str, allowed: str) -> None:
    """Raise ConfigurationError unless ``content`` of ``file`` has ``allowed`` at ``place``, keys joined by dots.

    ModelScope finds our classes by these names; what it raises where it does not find them says nothing to a user.
    """
    found: Any = content
    for key in place.split('.'):
        found = found.get(key) if isinstance(found, Mapping) else None
    if found != allowed:
        raise ConfigurationError(f"'{place}' in '{file}' must be '{allowed}', found {found!r}. Correct it.")


def check_stage(content: Mapping[str, Any], file: str | os.PathLike[str], stage: Stage) -> None:
    """Raise ConfigurationError unless ``content`` of ``file`` describes a model of ``stage``."""
    for place, allowed in (('framework', 'pytorch'), ('task', stage.task), ('model.type', stage.model)):
        check_name(content, file, place, allowed)


@contextmanager
def naming(file: str | os.PathLike[str], place: str) -> Iterator[None]:
    """Say in every ConfigurationError which section of which file it is about."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"'{file}', section '{place}': {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is no number in JSON')


def parse_model_arguments(section: Any, file: str | os.PathLike[str]) -> ModelArguments:
    """Check section ``model.model_args`` of ``file``; the model page's spelling ``Seed`` is accepted for ``seed``."""
    if isinstance(section, Mapping) and 'Seed' in section:
        section = {'seed': section['Seed'], **{key: value for key, value in section.items() if key != 'Seed'}}
    return _parse(ModelArguments, section, file, 'model.model_args')


def parse_image_to_video(section: Any, file: str | os.PathLike[str]) -> ImageToVideoConfiguration:
    """Check section ``model.model_cfg`` of stage 1's ``file``, which errors name."""
    place = 'model.model_cfg'
    fields = _mapping(section, file, place)
    nested = {
        name: _parse(kind, fields[name], file, f'{place}.{name}')
        for name, kind in (('unet', ImageToVideoUNetParameters), ('autoencoder', AutoencoderParameters))
        if name in fields
    }
    return _parse(ImageToVideoConfiguration, {**fields, **nested}, file, place)


def _mapping(section: Any, file: str | os.PathLike[str], place: str) -> dict[str, Any]:
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"'{place}' in '{file}' must be a JSON object, found {section!r}.")
    return dict(section)


def _parse(kind: type[Parameters], section: Any, file: str | os.PathLike[str], place: str) -> Parameters:
    fields = _mapping(section, file, place)
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in [key for key in fields if key not in known]:
        # Not an error: nobody here has seen every file on the hub.
        logger.warning("Ignoring the unknown key '%s' of '%s' in '%s'.%s", key, place, file, nearest(key, known))
        del fields[key]
    required = [
        name
        for name, item in known.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in fields]
    if missing:
        raise ConfigurationError(f"'{file}' lacks the required {', '.join(map(repr, missing))} in '{place}'.")
    with naming(file, place):
        return kind(**fields)
