"""Networks that are trained already. They are kept in half precision, with a digest of what they were made from.

The whole recipe takes hours. Each phase ends in a file of a few megabytes from which the next one starts, so that the
recipe can be spread over several machines: the folder ``finished`` beside this file keeps the last one of each network.
To do a phase again, remove what is named after it and after all later ones, in both folders.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from demo_training.made_from import MADE_FROM, check_made_from, recorded_digest
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.save import save_weights

#: The networks that are kept in the repository.
FINISHED = Path(__file__).parent / 'finished'

logger = logging.getLogger(__name__)

Module = TypeVar('Module', bound=nn.Module)


@dataclass(frozen=True)
class Phase(Generic[Module]):
    """A part of the training of a network.

    Attributes:
        name: of its file.
        made_from: a digest of everything that its result depends on, phases before it included.
        train: takes the network as the phase before left it, and returns it trained.
    """

    name: str
    made_from: str
    train: Callable[[Module], Module]

    @property
    def file(self) -> str:
        """The name of the file with its result."""
        return f'{self.name}.safetensors'


@dataclass(frozen=True)
class Shelf:
    """Where finished networks are.

    Attributes:
        folder: of this training.
        finished: of networks that were trained before, perhaps elsewhere.
        keep: whether to write to ``finished``, too.
    """

    folder: Path
    finished: Path = FINISHED
    keep: bool = False

    def network_after(
        self, phases: Sequence[Phase[Module]], new: Callable[[], Module], build: Callable[[], Module]
    ) -> Module:
        """A network after its last phase. Its weights are half precise. The phases not done yet are done.

        Args:
            new: makes the untrained network.
            build: makes the same network, whose weights do not matter.

        Raises:
            ConfigurationError: if the folder holds a network that is damaged, or was made from something else.
        """
        done = next((number for number in range(len(phases), 0, -1) if self._has(phases[number - 1])), 0)
        if done:
            self._put(phases[done - 1], phases[: done - 1])
        network = self._load(phases[done - 1], build) if done else new()
        for number, phase in enumerate(phases[done:], start=done):
            logger.info('training %s', phase.name)
            trained = phase.train(network)
            save_weights(trained, self.folder / phase.file, torch.float16, {MADE_FROM: phase.made_from})
            self._put(phase, phases[:number])
            network = self._load(phase, build)
        return network

    def _has(self, phase: Phase[Module]) -> bool:
        path, kept = self.folder / phase.file, self.finished / phase.file
        if path.exists():
            check_made_from(path, phase.made_from)
            return True
        if is_made_from(kept, phase.made_from):
            logger.info('%s is finished', phase.name)
            _copy(kept, path)
            return True
        return False

    def _load(self, phase: Phase[Module], build: Callable[[], Module]) -> Module:
        network = load_weights(build_on_meta(build), self.folder / phase.file)
        return network.float().eval().requires_grad_(False)

    def _put(self, phase: Phase[Module], before: Sequence[Phase[Module]]) -> None:
        """Keep the network, in place of those of the phases ``before`` it."""
        if not self.keep:
            return
        kept = self.finished / phase.file
        if not is_made_from(kept, phase.made_from):
            if kept.exists():
                logger.warning("replacing '%s', which was made from something else", kept)
            _copy(self.folder / phase.file, kept)
        for earlier in before:
            # Others of that name belong to another training.
            if is_made_from(self.finished / earlier.file, earlier.made_from):
                (self.finished / earlier.file).unlink()


def is_made_from(path: Path, made_from: str) -> bool:
    """Whether ``path`` is there and has this digest. A damaged file has none; that only warns."""
    if not path.exists():
        return False
    try:
        return recorded_digest(path) == made_from
    except ConfigurationError as error:
        logger.warning('%s', error)
        return False


def _copy(source: Path, target: Path) -> None:
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as draft:
            shutil.copyfile(source, draft)
