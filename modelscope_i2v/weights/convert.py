"""Convert the hub's pickles to compact safetensors: only what the stage uses, in the precision that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelscope_i2v.errors import CheckpointError, ModelScopeI2VError, OutputError
from modelscope_i2v.files import exists, output_errors, probe_target, read_json, write_json
from modelscope_i2v.model_folder import FILE_NAME, ModelFolder
from modelscope_i2v.weights.load import load_weights
from modelscope_i2v.weights.reader import open_state_dict, read_state_dict
from modelscope_i2v.weights.save import (
    WEIGHT_FILES,
    abandoned_drafts,
    remove_abandoned_drafts,
    save_weights,
)

#: A file in the output folder of an unfinished conversion. It says what is converted, so that it can be resumed.
NOTE = '.converting.json'
_OCCUPIED = "'{output}' already contains {what}, and nothing is overwritten. Choose a new folder."
#: Sections that let a model page run its own code, which a converted folder does not have.
PAGE_CODE = ('allow_remote', 'plugins')


@dataclass(frozen=True)
class ConvertedFile:
    """A converted file, written now or found complete, and the first file that it was converted from.

    Sizes are in bytes; ``source_size`` counts all files that it was converted from.
    """

    path: Path
    size: int
    source: Path
    source_size: int


def convert_model(
    source: ModelFolder, output: Path, dtype: torch.dtype, sources: Mapping[str, Sequence[Path]] | None = None
) -> Iterator[ConvertedFile]:
    """Convert the model in ``source`` to a new folder ``output``, one network at a time, each verified key by key.

    An interrupted conversion is resumed: files that are complete and correct are kept. The configuration is written
    last, so that half a conversion is never mistaken for a model.

    Args:
        dtype: the dtype of all floating-point weights. The autoencoder computes in float32, however it is stored.
        sources: the files of each network, by the key of configuration.json; None means those that it names.

    Raises:
        ConfigurationError, CheckpointError: if the weights of ``source`` do not fit, or one is not finite as ``dtype``.
            OutputError: if ``output`` holds anything else, or cannot be written.
    """
    networks = source.build_networks()
    files = sources or {key: (path,) for key, path in source.files.items()}
    _claim(output, [path for paths in files.values() for path in paths], dtype)
    for key, paths in files.items():
        network, target = load_weights(networks.pop(key), _together(paths), dtype=dtype), output / WEIGHT_FILES[key]
        if not _is_same(network, target):
            save_weights(network, target)
            if not _is_same(network, target):
                raise CheckpointError(f"'{target}' is not as it was written. Check the disk and convert again.")
        yield ConvertedFile(target, target.stat().st_size, paths[0], sum(path.stat().st_size for path in paths))
    write_json(_converted(source.content), output / FILE_NAME)
    with output_errors(output):
        (output / NOTE).unlink()


def _together(paths: Sequence[Path]) -> Path | dict[str, torch.Tensor]:
    """One file, or the tensors of several."""
    if len(paths) == 1:
        return paths[0]
    return {key: tensor for path in paths for key, tensor in read_state_dict(path).items()}


def check_new(output: Path) -> None:
    """Create ``output`` if it does not exist. Raises OutputError unless it is empty or an unfinished conversion."""
    with output_errors(output):
        found = set(output.iterdir()) if output.exists() else set()
        others = found.difference(abandoned_drafts(output)) and not (output / NOTE).exists()
    if others:
        raise OutputError(_OCCUPIED.format(output=output, what='files'))
    probe_target(output / NOTE)


def _claim(output: Path, sources: Sequence[Path], dtype: torch.dtype) -> None:
    """Reserve ``output`` for this conversion, unless it holds something else."""
    for path in sources:
        if not exists(path) or not path.is_file():
            open_state_dict(path)  # raises an error that says what is wrong with the file
    states = {str(path.resolve()): [path.stat().st_size, path.stat().st_mtime_ns] for path in sources}
    identity = {'sources': states, 'dtype': str(dtype)}
    note = output / NOTE
    check_new(output)
    with output_errors(output):
        try:
            found = read_json(note) if note.exists() else identity
        except ValueError:
            found = None
        if found != identity:
            raise OutputError(_OCCUPIED.format(output=output, what='another, unfinished conversion'))
    remove_abandoned_drafts(output)
    if not note.exists():
        write_json(identity, note)


def _is_same(network: nn.Module, path: Path) -> bool:
    """Whether the file ``path`` holds the weights of ``network``, key by key, bit by bit."""
    if not path.exists():
        return False
    try:
        tensors = read_state_dict(path)
    except ModelScopeI2VError:
        return False
    expected = network.state_dict()
    return tensors.keys() == expected.keys() and all(
        tensors[key].dtype == tensor.dtype and torch.equal(tensors[key], tensor) for key, tensor in expected.items()
    )


def _converted(content: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration ``content``, with the names of the new files."""
    kept = {key: value for key, value in content.items() if key not in PAGE_CODE}
    model = content['model']
    return {**kept, 'model': {**model, 'model_args': {**model['model_args'], **WEIGHT_FILES}}}
