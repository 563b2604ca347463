"""The log of a training: one JSON line per report in ``log.jsonl``, and the same values in TensorBoard."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelscope_i2v.files import open_regular, output_errors, replacing

logger = logging.getLogger(__name__)

LOG_NAME = 'log.jsonl'


class TrainingLog:
    """Scalars and pictures of the steps after ``first_step``. Reports of those steps from an interrupted run are
    removed.

    Args:
        folder: the folder of the training.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path = folder / LOG_NAME
        #: Steps that an earlier run has validated.
        self.validated: set[int] = set()
        if self._path.exists():
            kept = [entry for entry in read_log(folder) if entry['step'] <= first_step]
            self.validated = {entry['step'] for entry in kept if any(name.startswith('validation/') for name in entry)}
            with replacing(self._path) as draft, output_errors(self._path):
                draft.write_text(''.join(json.dumps(entry) + '\n' for entry in kept), encoding='utf-8')
        self._writer: Any = SummaryWriter(str(folder / 'tensorboard'), purge_step=first_step + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log ``values`` for ``step``."""
        with output_errors(self._path), self._path.open('a', encoding='utf-8') as file:
            file.write(json.dumps({'step': step, **values}) + '\n')
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        logger.info('step %d: %s', step, ', '.join(f'{name} {value:.5g}' for name, value in values.items()))

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Log a picture, uint8 ``[H, W, 3]``, to TensorBoard."""
        self._writer.add_image(name, pixels, step, dataformats='HWC')

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The reports of a training, oldest first; unreadable lines, left by a crash, are skipped."""
    entries = []
    with open_regular(folder / LOG_NAME) as file:
        lines = file.read().decode('utf-8', 'replace').splitlines()
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get('step'), int):
            entries.append(entry)
    return entries
