"""A model out of weight files alone, without a ``configuration.json``: for ``convert --stage``."""

from __future__ import annotations

from pathlib import Path

from modelscope_i2v.errors import CheckpointError, ConfigurationError
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.stage import Stage
from modelscope_i2v.weights.save import configuration_of


def model_of_files(folder: Path, stage: Stage) -> ModelFolder:
    """The full-size model of ``stage`` whose weight files, under the original's names, are in ``folder``.

    A ``configuration.json`` in the folder is not read.

    Raises:
        ConfigurationError: if there is no such folder. CheckpointError: if it lacks a file; it says what was found.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder '{folder}' with weight files. Check the path.")
    files = dict(stage.weight_files)
    missing = [name for name in files.values() if not (folder / name).is_file()]
    if missing:
        found = ', '.join(repr(path.name) for path in sorted(folder.iterdir())) or 'nothing'
        raise CheckpointError(
            f"'{folder}' lacks {' and '.join(map(repr, missing))}, found {found}. A model of type '{stage.model}' is "
            f'made of {", ".join(map(repr, files.values()))}.'
        )
    return ModelFolder.parse(folder, stage, configuration_of(stage, files, {}))
