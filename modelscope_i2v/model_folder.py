"""A model's folder: ``configuration.json`` is read and checked once, then passed around as a value."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import MAX_SEED, as_mapping, error_context, integer, parse_section, text
from modelscope_i2v.errors import ConfigurationError, nearest, shown
from modelscope_i2v.files import read_json
from modelscope_i2v.stage import Stage, stages

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import nn

    from modelscope_i2v.generation.configuration import StageConfiguration

FILE_NAME = 'configuration.json'
#: The keys of ``model.model_args`` that name weight files.
WEIGHT_KEYS = ('ckpt_unet', 'ckpt_clip', 'ckpt_autoencoder')
_ARGS, _CFG = 'model.model_args', 'model.model_cfg'
_REMEDY = "Correct it, or make a new folder of the weight files: 'modelscope-i2v convert FOLDER --stage STAGE -o NEW'."


@dataclass(frozen=True, kw_only=True)
class ModelArguments:
    """Section ``model.model_args``: the weight files, relative to the model's folder, and two defaults.

    Attributes:
        solver_mode: for stages that have modes: ``'fast'`` selects a quicker solver, any other value the normal one.
    """

    ckpt_unet: str
    ckpt_clip: str
    ckpt_autoencoder: str
    seed: int | None = None
    solver_mode: str | None = None

    def __post_init__(self) -> None:
        for key in WEIGHT_KEYS:
            text(key, getattr(self, key))
        if self.solver_mode is not None:
            text('solver_mode', self.solver_mode)
        if self.seed is not None:
            integer('seed', self.seed, 0, MAX_SEED)


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A model's folder and its configuration; the weight files may still be missing.

    Attributes:
        path: the absolute path of the folder.
        stage: the stage that the model belongs to.
        content: the whole ``configuration.json``, or only the sections that ModelScope passes on.
        arguments, configuration: the checked sections ``model.model_args`` and ``model.model_cfg``.
        files: the paths of the weight files, by the key that names them.
    """

    path: Path
    stage: Stage
    content: Mapping[str, Any]
    arguments: ModelArguments
    configuration: StageConfiguration
    files: Mapping[str, Path]

    @classmethod
    def read(cls, path: str | os.PathLike[str], stage: Stage | None = None) -> ModelFolder:
        """Read and check the configuration of the folder ``path``.

        Args:
            stage: the stage that the model must belong to; None accepts any stage.

        Raises:
            ConfigurationError: if the folder or its configuration is missing, damaged or wrong, or if the model
                belongs to another stage.
        """
        folder = Path(path)
        content = read_configuration(folder)
        if stage is None:
            stage = find_stage(content, folder / FILE_NAME)
        else:
            check_stage(content, folder / FILE_NAME, stage)
        return cls.parse(folder, stage, content)

    @classmethod
    def of(cls, source: str | os.PathLike[str] | ModelFolder, stage: Stage) -> ModelFolder:
        """Return ``source`` if it has been read; else read the folder as a model of ``stage``, whatever its names say.

        Raises:
            ConfigurationError: if the folder or its configuration is missing, damaged or wrong.
        """
        return source if isinstance(source, ModelFolder) else cls.parse(source, stage, read_configuration(source))

    @classmethod
    def parse(cls, path: str | os.PathLike[str], stage: Stage, content: Mapping[str, Any]) -> ModelFolder:
        """Describe the folder ``path`` of a model of ``stage`` with ``content`` as its configuration; reads no files.

        Raises:
            ConfigurationError: for a wrong value; it names the section, the key, what was found and what is allowed.
        """
        folder = Path(path).absolute()  # the current folder may change
        file = Path(path) / FILE_NAME
        section = as_mapping(content.get('model'), file, 'model')
        arguments = parse_section(ModelArguments, _seed_spelt(section.get('model_args')), file, _ARGS)
        return cls(
            path=folder,
            stage=stage,
            content=content,
            arguments=arguments,
            configuration=stage.configuration.parse(section.get('model_cfg'), file, _CFG),
            files={key: folder / getattr(arguments, key) for key in WEIGHT_KEYS},
        )

    @property
    def file(self) -> Path:
        """The path of its ``configuration.json``."""
        return self.path / FILE_NAME

    def moved_to(self, path: Path) -> ModelFolder:
        """The same model in the folder ``path``."""
        files = {key: path / getattr(self.arguments, key) for key in self.files}
        return dataclasses.replace(self, path=path, files=files)

    def error_context(self) -> AbstractContextManager[None]:
        """Make every ConfigurationError name this model's configuration file."""
        return error_context(self.file, _CFG)

    def call_defaults(self) -> dict[str, Any]:
        """The defaults that the configuration gives for the arguments of a call."""
        return self.configuration.call_defaults(self.arguments)

    def build_networks(self) -> dict[str, nn.Module]:
        """Build the networks on the meta device; returns them by the key that names their weight file.

        Raises:
            ConfigurationError: if they cannot be built, or do not fit each other.
        """
        from modelscope_i2v.networks.build import build_networks

        with self.error_context():
            networks = build_networks(self.stage.networks, self.configuration)
            self.stage.check_networks(networks)
        return networks


def read_configuration(model_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the ``configuration.json`` of a model's folder.

    Raises:
        ConfigurationError: if the folder or the file is missing, or if the file does not hold a JSON object.
    """
    path = Path(model_dir) / FILE_NAME
    try:
        if not Path(model_dir).is_dir():
            raise ConfigurationError(
                f"There is no model folder '{model_dir}'. Check the path, or give a hub id owner/name."
            )
        content = read_json(path)
    except ConfigurationError:
        raise
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The model folder '{model_dir}' has no {FILE_NAME}, so it is not a ModelScope model. Download it again, "
            'or check the path.'
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"'{path}' is not valid JSON: {error}. Repair it or download it again.") from error
    except OSError as error:
        raise ConfigurationError(f"'{path}' cannot be read: {error.strerror}.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"'{path}' must hold a JSON object, found a {type(content).__name__}.")
    return content


def check_name(
    content: Mapping[str, Any], file: str | os.PathLike[str], place: str, *allowed: str, remedy: str = 'Correct it.'
) -> str:
    """Return the name at ``place`` (keys joined by dots) in ``content`` of ``file``; it must be one of ``allowed``.

    ModelScope finds our classes by these names; the errors that it raises for unknown names do not help a user.

    Raises:
        ConfigurationError: if it is none of them.
    """
    found: Any = content
    for key in place.split('.'):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or found not in allowed:
        wanted = ' or '.join(map(repr, allowed))
        raise ConfigurationError(f"'{place}' in '{file}' must be {wanted}, found {shown(found)}. {remedy}")
    return found


def find_stage(content: Mapping[str, Any], file: str | os.PathLike[str]) -> Stage:
    """Return the stage of the model that ``content`` of ``file`` describes; raises ConfigurationError if unknown."""
    task, known = content.get('task'), stages()
    found = {stage.model: stage for stage in known if stage.task == task}
    if not found:
        tasks = list(dict.fromkeys(stage.task for stage in known))
        allowed, hint = ', '.join(map(repr, tasks)), nearest(task, tasks) if isinstance(task, str) else ''
        raise ConfigurationError(f"'task' in '{file}' must be one of {allowed}, found {shown(task)}.{hint} {_REMEDY}")
    check_name(content, file, 'framework', 'pytorch')
    return found[check_name(content, file, 'model.type', *found, remedy=_REMEDY)]


def check_stage(content: Mapping[str, Any], file: str | os.PathLike[str], stage: Stage) -> None:
    """Raise ConfigurationError unless ``content`` of ``file`` describes a model of ``stage``."""
    for place, allowed in (('framework', 'pytorch'), ('task', stage.task), ('model.type', stage.model)):
        check_name(content, file, place, allowed)


def _seed_spelt(section: Any) -> Any:
    """``model.model_args`` with ``Seed``, as the model page spells it, renamed to ``seed``."""
    if not isinstance(section, Mapping) or 'Seed' not in section:
        return section
    return {'seed': section['Seed'], **{key: value for key, value in section.items() if key != 'Seed'}}
