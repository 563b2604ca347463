"""Reading ``configuration.json``: from the file to checked sections, with errors that name both."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from modelscope_i2v.errors import ConfigurationError, nearest
from modelscope_i2v.plugin.registration import STAGES, Stage

logger = logging.getLogger(__name__)

FILE_NAME = 'configuration.json'

Parameters = TypeVar('Parameters')


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


def find_stage(content: Mapping[str, Any], file: str | os.PathLike[str]) -> Stage:
    """The stage that ``content`` of ``file`` describes a model of; ConfigurationError if it does not."""
    stages = {stage.task: stage for stage in STAGES}
    task = content.get('task')
    if not isinstance(task, str) or task not in stages:
        allowed, hint = ', '.join(map(repr, stages)), nearest(str(task), stages)
        raise ConfigurationError(f"'task' in '{file}' must be one of {allowed}, found {task!r}.{hint}")
    check_stage(content, file, stages[task])
    return stages[task]


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


def as_mapping(section: Any, file: str | os.PathLike[str], place: str) -> dict[str, Any]:
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"'{place}' in '{file}' must be a JSON object, found {section!r}.")
    return dict(section)


def parse_section(kind: type[Parameters], section: Any, file: str | os.PathLike[str], place: str) -> Parameters:
    """The dataclass ``kind`` from a section; unknown keys are left out with a warning.

    Raises:
        ConfigurationError: for a missing or impossible value, naming file and section.
    """
    fields = as_mapping(section, file, place)
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
