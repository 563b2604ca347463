"""Networks that are trained already. They are kept in half precision, with a digest of what they were made from.

The whole recipe takes hours. Each phase ends in a file of a few megabytes from which the next one starts, so that the
recipe can be spread over several machines: those in the folder ``finished`` beside this file need not be trained again.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from torch import nn

from demo_training.made_from import MADE_FROM, check_made_from
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.save import save_weights

#: The networks that are kept in the repository.
FINISHED = Path(__file__).parent / 'finished'

logger = logging.getLogger(__name__)

Module = TypeVar('Module', bound=nn.Module)


def finished_network(
    name: str,
    made_from: str,
    build: Callable[[], Module],
    train: Callable[[], nn.Module],
    folder: Path,
    finished: Path = FINISHED,
    *,
    keep: bool = False,
) -> Module:
    """The network ``name`` from ``folder``, else from ``finished``, else newly trained. Its weights are half precise.

    Args:
        made_from: a digest of everything that the network depends on.
        keep: also write the network to ``finished``.

    Raises:
        ConfigurationError: if ``folder`` holds a network that was made from something else.
    """
    path, kept = folder / f'{name}.safetensors', finished / f'{name}.safetensors'
    if path.exists():
        check_made_from(path, made_from)
    elif is_made_from(kept, made_from):
        logger.info('%s is finished', name)
        _copy(kept, path)
    else:
        logger.info('training %s', name)
        save_weights(train(), path, torch.float16, {MADE_FROM: made_from})
    if keep and not is_made_from(kept, made_from):
        _copy(path, kept)
    return load_weights(build_on_meta(build), path).float().eval().requires_grad_(False)


def is_made_from(path: Path, made_from: str) -> bool:
    """Whether ``path`` is there and has this digest."""
    if not path.exists():
        return False
    with safe_open(path, 'pt') as file:
        return bool((file.metadata() or {}).get(MADE_FROM) == made_from)


def _copy(source: Path, target: Path) -> None:
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as draft:
            shutil.copyfile(source, draft)
