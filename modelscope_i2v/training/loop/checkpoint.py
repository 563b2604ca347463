"""Checkpoints: one file with everything needed to resume a training as if it had never been interrupted.

A checkpoint is complete or absent: it is written to a temporary file and then renamed. If the process is killed while
writing, the previous checkpoint is still there. Frozen weights are not saved.
"""

from __future__ import annotations

import logging
import re
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

from modelscope_i2v.errors import CheckpointError, shown
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.training.loop.ema import MovingAverage
from modelscope_i2v.weights.pickle.reader import read_pickle

#: Save full, unsharded tensors under any kind of parallelism.
OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False)
KEPT = 2
ADVICE = 'Train into another folder, or remove this one.'

logger = logging.getLogger(__name__)


def save_checkpoint(
    folder: Path, step: int, model: nn.Module, optimizer: Any, average: MovingAverage, extra: dict[str, Any]
) -> None:
    """Write ``checkpoint-STEP.pt`` into ``folder`` and remove all but the two newest. Every process must call this.

    Raises:
        OutputError: if it cannot be written.
    """
    from accelerate import PartialState

    with average.applied():
        shared: dict[str, Any] = get_model_state_dict(model, options=OPTIONS)
        # On the CPU a state dict shares memory with the model, which gets its plain weights back after this block.
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
    """Resume from the newest readable checkpoint in ``folder``.

    Args:
        identity: the settings that must not have changed; compared with ``extra['identity']`` of the checkpoint.

    Returns:
        The step of the checkpoint and its ``extra``; step 0 and an empty dict if there is no checkpoint.

    Raises:
        CheckpointError: if it belongs to another network or training, or if no checkpoint can be read.
    """
    path, content = _read_newest(folder)
    if path is None:
        return 0, {}
    # With OPTIONS, only the main process would get the tensors.
    options = StateDictOptions(ignore_frozen_params=True)
    trained: dict[str, Any] = get_model_state_dict(model, options=options)
    expected = {name: tuple(value.shape) for name, value in trained.items()}
    found = {name: tuple(value.shape) for name, value in content['model'].items()}
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"'{path}' is a checkpoint of another network: {len(differing)} tensors differ, for example '{name}', "
            f'{found.get(name, "absent")} in the checkpoint and {expected.get(name, "absent")} now. {ADVICE}'
        )
    before = content['extra'].get('identity', {})
    changed = [key for key in identity if not _is_equal(before.get(key), identity[key])]
    if changed:
        differences = ', '.join(f"'{key}' was {shown(before.get(key))} and is {identity[key]!r}" for key in changed)
        raise CheckpointError(f"'{path}' belongs to a training with other settings: {differences}. {ADVICE}")
    load: dict[str, Any] = {'options': OPTIONS, 'optim_state_dict': content['optimizer']}
    try:
        set_state_dict(model, optimizer, model_state_dict=content['average'], **load)
        average.reset()
        set_state_dict(model, optimizer, model_state_dict=content['model'], **load)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError) as error:
        raise CheckpointError(
            f"'{path}' does not fit the network or its optimiser: {shown(error)}. {ADVICE}"
        ) from error
    return int(content['step']), content['extra']


def _read_newest(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """The newest intact checkpoint. After a crash, the last file written may be damaged."""
    damaged: Exception | None = None
    for path in reversed(_checkpoints(folder)):
        try:
            content = read_pickle(path)
            if not _is_checkpoint(content):
                raise CheckpointError(f'{path} is not a checkpoint of a training.')
            return path, content
        except CheckpointError as error:
            logger.warning("The checkpoint '%s' cannot be read (%s); trying the previous one.", path, error)
            damaged = error
    if damaged is not None:
        raise CheckpointError(f"No checkpoint in '{folder}' can be read: {damaged}. {ADVICE}") from damaged
    return None, {}


def _is_checkpoint(content: Any) -> bool:
    """Whether ``content`` has the parts that :func:`save_checkpoint` writes."""
    names = ('model', 'average', 'optimizer', 'extra')
    if not isinstance(content, dict) or type(content.get('step')) is not int:
        return False
    if not all(isinstance(content.get(name), dict) for name in names) or content['step'] < 0:
        return False
    weights = (*content['model'].items(), *content['average'].items())
    plain = all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights)
    return plain and isinstance(content['extra'].get('identity', {}), dict)


def _is_equal(before: Any, now: Any) -> bool:
    """Whether two settings are equal; a file may hold anything, even tensors, which have no truth value."""
    try:
        return bool(before == now)
    except RuntimeError:
        return False


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob('checkpoint-*.pt') if re.fullmatch(r'checkpoint-\d{9}\.pt', path.name))
