"""A model out of weight files alone, without a ``configuration.json``: for ``convert --stage``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelscope_i2v.errors import CheckpointError, ConfigurationError, shown
from modelscope_i2v.files import exists
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.stage import Stage
from modelscope_i2v.weights.save import configuration_of

#: The folders in which diffusers keeps each network. One CLIP is two of them.
DIFFUSERS_FOLDERS: Mapping[str, tuple[str, ...]] = {
    'ckpt_unet': ('unet',),
    'ckpt_clip': ('image_encoder', 'text_encoder'),
    'ckpt_autoencoder': ('vae',),
}
#: How many names of files an error lists.
_LISTED = 10
#: The names under which diffusers and transformers save weights; the first one that is there counts.
_PATTERNS = tuple(
    f'{name}{ending}'
    for ending in ('.safetensors', '-*-of-*.safetensors', '.fp16.safetensors')
    for name in ('diffusion_pytorch_model', 'model')
)


def model_of_files(folder: Path, stage: Stage) -> tuple[ModelFolder, Mapping[str, Sequence[Path]]]:
    """The full-size model of ``stage`` whose weights are in ``folder``, and the files of each network.

    These are the original's three files, or the folders of diffusers. Any configuration in the folder is not read.

    Raises:
        ConfigurationError: if there is no such folder. CheckpointError: if it cannot be read, or lacks a file; it says
            what was found.
    """
    if not exists(folder) or not folder.is_dir():
        raise ConfigurationError(f"There is no folder '{folder}' with weight files. Check the path.")
    try:
        files = _of_diffusers(folder) if (folder / 'unet').is_dir() else _of_the_original(folder, stage)
    except OSError as error:
        raise CheckpointError(f"'{folder}' cannot be read: {error.strerror}. Check its permissions.") from error
    return ModelFolder.parse(folder, stage, configuration_of(stage, stage.weight_files, {})), files


def _of_the_original(folder: Path, stage: Stage) -> Mapping[str, Sequence[Path]]:
    names = stage.weight_files
    missing = [name for name in names.values() if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"'{folder}' lacks {' and '.join(map(repr, missing))}, found {_found(folder)}. A model of type "
            f"'{stage.model}' is made of {', '.join(map(repr, names.values()))}."
        )
    return {key: (folder / name,) for key, name in names.items()}


def _of_diffusers(folder: Path) -> Mapping[str, Sequence[Path]]:
    return {key: [file for name in names for file in _saved(folder / name)] for key, names in DIFFUSERS_FOLDERS.items()}


def _saved(folder: Path) -> list[Path]:
    for pattern in _PATTERNS:
        if files := sorted(folder.glob(pattern)):
            return files
    found = _found(folder) if folder.is_dir() else 'no folder'
    raise CheckpointError(f"'{folder}' must hold weights of diffusers in .safetensors files, found {found}.")


def _found(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = [f'{len(names) - _LISTED} more'] if len(names) > _LISTED else []
    return ', '.join([*map(shown, names[:_LISTED]), *more]) or 'nothing'
