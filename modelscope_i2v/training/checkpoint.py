"""Everything that a training needs to go on as if it had never been interrupted, in one file.

Whole or absent: a checkpoint is written beside its place and renamed, so a process that is killed while writing leaves
the one before. Weights that are not trained are not in it.
"""

from __future__ import annotations

import os
import re
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

from modelscope_i2v.errors import CheckpointError, OutputError
from modelscope_i2v.training.ema import MovingAverage

#: Full, unsharded tensors whatever the parallelism.
OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False)
KEPT = 2


def save_checkpoint(
    folder: Path, step: int, model: nn.Module, optimizer: Any, average: MovingAverage, extra: dict[str, Any]
) -> None:
    """Write ``checkpoint-STEP.pt`` into ``folder`` and remove all but the two newest. Every process has to call this.

    Raises:
        OutputError: if it cannot be written.
    """
    with average.applied():
        averaged = get_model_state_dict(model, options=OPTIONS)
        # On a CPU a state dict shares the memory of the model, which is about to get its plain weights back.
        averaged = {name: value.clone() for name, value in averaged.items()}
    weights, optimizer_state = get_state_dict(model, optimizer, options=OPTIONS)
    content = {'step': step, 'model': weights, 'average': averaged, 'optimizer': optimizer_state, 'extra': extra}
    if int(os.environ.get('RANK', '0')) != 0:
        return
    path = folder / f'checkpoint-{step:09d}.pt'
    draft = path.with_suffix('.draft')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open('wb') as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        raise OutputError(f"The checkpoint '{path}' cannot be written: {error}. Is the disk full?") from error
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def load_checkpoint(folder: Path, model: nn.Module, optimizer: Any, average: MovingAverage) -> tuple[int, dict]:
    """Continue from the newest checkpoint in ``folder``: its step (0 without one) and what was saved as ``extra``.

    Raises:
        CheckpointError: if it is of another model.
    """
    found = _checkpoints(folder)
    if not found:
        return 0, {}
    content = torch.load(found[-1], map_location='cpu', weights_only=True)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    missing = sorted(trained - set(content['model']))
    if missing or set(content['model']) - set(model.state_dict()):
        raise CheckpointError(
            f"'{found[-1]}' is a checkpoint of another network (it lacks {missing[:3] or 'nothing'}, but has other "
            'weights). Train into another folder, or remove this one.'
        )
    load = {'options': OPTIONS, 'optim_state_dict': content['optimizer']}
    set_state_dict(model, optimizer, model_state_dict=content['average'], **load)
    average.reset()
    set_state_dict(model, optimizer, model_state_dict=content['model'], **load)
    return int(content['step']), content['extra']


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob('checkpoint-*.pt') if re.fullmatch(r'checkpoint-\d{9}\.pt', path.name))
