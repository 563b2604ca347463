"""Everything that a training needs to go on as if it had never been interrupted, in one file.

Whole or absent: a checkpoint is written beside its place and renamed, so a process that is killed while writing leaves
the one before. Weights that are not trained are not in it.
"""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.training.loop.ema import MovingAverage

#: Full, unsharded tensors whatever the parallelism.
OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False)
KEPT = 2
ADVICE = 'Train into another folder, or remove this one.'

logger = logging.getLogger(__name__)


def save_checkpoint(
    folder: Path, step: int, model: nn.Module, optimizer: Any, average: MovingAverage, extra: dict[str, Any]
) -> None:
    """Write ``checkpoint-STEP.pt`` into ``folder`` and remove all but the two newest. Every process has to call this.

    Raises:
        OutputError: if it cannot be written.
    """
    from accelerate import PartialState

    with average.applied():
        shared: dict[str, Any] = get_model_state_dict(model, options=OPTIONS)
        # On a CPU a state dict shares the memory of the model, which is about to get its plain weights back.
        averaged = {name: value.clone() for name, value in shared.items()}
    weights, optimizer_state = get_state_dict(model, optimizer, options=OPTIONS)
    content = {'step': step, 'model': weights, 'average': averaged, 'optimizer': optimizer_state, 'extra': extra}
    if not PartialState().is_main_process:
        return
    path = folder / f'checkpoint-{step:09d}.pt'
    # torch's zip writer turns a full disk into a RuntimeError.
    with replacing(path) as draft, output_errors(path, RuntimeError):
        torch.save(content, draft)
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: Any, average: MovingAverage, identity: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    """Continue from the newest checkpoint in ``folder`` that can be read: its step, and what was saved as ``extra``.

    Args:
        identity: what must not have changed; ``extra['identity']`` of the checkpoint is held against it.

    Returns:
        Step 0 and nothing where there is no checkpoint.

    Raises:
        CheckpointError: if it is of another network or training, or if none can be read.
    """
    path, content = _read_newest(folder)
    if path is None:
        return 0, {}
    # With OPTIONS only the main process would see anything.
    options = StateDictOptions(ignore_frozen_params=True)
    trained: dict[str, Any] = get_model_state_dict(model, options=options)
    expected = {name: tuple(value.shape) for name, value in trained.items()}
    found = {name: tuple(value.shape) for name, value in content['model'].items()}
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"'{path}' is a checkpoint of another network: {len(differing)} tensors differ, such as '{name}', "
            f'{found.get(name, "absent")} there and {expected.get(name, "absent")} now. {ADVICE}'
        )
    before = content['extra'].get('identity', {})
    changed = [key for key in identity if before.get(key) != identity[key]]
    if changed:
        differences = ', '.join(f"'{key}' was {before.get(key)!r} and is {identity[key]!r}" for key in changed)
        raise CheckpointError(f"'{path}' is of a training with other settings: {differences}. {ADVICE}")
    load: dict[str, Any] = {'options': OPTIONS, 'optim_state_dict': content['optimizer']}
    set_state_dict(model, optimizer, model_state_dict=content['average'], **load)
    average.reset()
    set_state_dict(model, optimizer, model_state_dict=content['model'], **load)
    return int(content['step']), content['extra']


def _read_newest(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """The newest checkpoint that is whole: a disk may lose what was written last."""
    damaged: Exception | None = None
    for path in reversed(_checkpoints(folder)):
        try:
            return path, torch.load(path, map_location='cpu', weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            logger.warning("The checkpoint '%s' cannot be read (%s); trying the one before.", path, error)
            damaged = error
    if damaged is not None:
        raise CheckpointError(f"No checkpoint in '{folder}' can be read: {damaged}. {ADVICE}") from damaged
    return None, {}


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob('checkpoint-*.pt') if re.fullmatch(r'checkpoint-\d{9}\.pt', path.name))
