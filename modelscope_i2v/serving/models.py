"""The models that an engine serves, and those of them that are loaded."""

from __future__ import annotations

import dataclasses
import gc
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from modelscope_i2v.embedded import embedded_model
from modelscope_i2v.errors import InputError, nearest, shown
from modelscope_i2v.generation.load import build_pipeline, check_task, find_model
from modelscope_i2v.generation.memory import Weights, weights_of
from modelscope_i2v.generation.memory_check import Room
from modelscope_i2v.generation.preview import Preview
from modelscope_i2v.generation.recipe import EMBEDDED, model_identity
from modelscope_i2v.serving.jobs import UnknownModelError
from modelscope_i2v.stage import first_stage

if TYPE_CHECKING:
    from modelscope_i2v.generation.pipeline import GenerationPipeline
    from modelscope_i2v.hub.snapshots import Snapshot
    from modelscope_i2v.runtime.execution import Execution
    from modelscope_i2v.stage import Stage

logger = logging.getLogger(__name__)

#: The share of the free memory of a device that loaded models may take, if there is no limit.
SHARE_OF_FREE = 0.6


@dataclass(frozen=True)
class ServedModel:
    """A model and the name by which requests ask for it."""

    name: str
    snapshot: Snapshot

    @classmethod
    def find(cls, model: str, revision: str | None = None, *, offline: bool = False) -> ServedModel:
        """The model of a folder or a hub id. Only its configuration is read; weights wait for the first job.

        Raises:
            ConfigurationError, CheckpointError, InputError: as :func:`~modelscope_i2v.load`.
        """
        snapshot = find_model(model, revision, offline=offline)
        check_task(snapshot.folder, None)
        name = model_identity(snapshot.folder.path)[0]
        return cls(f'{EMBEDDED}/{snapshot.folder.path.name}' if name == EMBEDDED else name, snapshot)

    @property
    def stage(self) -> Stage:
        """What kind of model it is."""
        return self.snapshot.folder.stage

    @property
    def takes_text(self) -> bool:
        """Whether calls have a text."""
        return 'text' in {item.name for item in dataclasses.fields(self.stage.arguments)}

    @property
    def takes_video(self) -> bool:
        """Whether the input is a video, not a picture."""
        return self.stage.verb.takes_video


def embedded_models() -> list[ServedModel]:
    """The models that come with the package: the first stage, and the one that follows it."""
    first = first_stage()
    return [ServedModel.find(embedded_model(task)) for task in (first.task, first.followed_by) if task is not None]


class Catalogue:
    """The served models, by name and by what they do.

    Raises:
        InputError: if there are none, or two of one name.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._by_name = {model.name: model for model in models}
        if not models:
            raise InputError('There is no model to serve. Name at least one.')
        if len(self._by_name) < len(models):
            names = ', '.join(model.name for model in models)
            raise InputError(f'Two models have the same name, found {names}. Rename the folder of one of them.')

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """All of them, the default first."""
        return tuple(self._by_name.values())

    def named(self, name: str) -> ServedModel:
        """The model called ``name``.

        Raises:
            UnknownModelError: if there is none, naming those that there are.
        """
        if name not in self._by_name:
            known = ', '.join(map(repr, self._by_name))
            raise UnknownModelError(f'There is no model {shown(name)} here.{nearest(name, self._by_name)} Use {known}.')
        return self._by_name[name]

    def default(self, *, for_video: bool) -> ServedModel:
        """The model for a request that names none.

        Raises:
            UnknownModelError: if no model takes such an input.
        """
        for model in self.models:
            if model.takes_video == for_video:
                return model
        kind = 'videos' if for_video else 'pictures'
        raise UnknownModelError(f'No model here takes {kind}. Served: {", ".join(self._by_name)}.')

    def after(self, model: ServedModel) -> ServedModel:
        """The model that makes the videos of ``model`` sharper.

        Raises:
            UnknownModelError: if there is none.
        """
        for other in self.models:
            if other.stage.task == model.stage.followed_by:
                return other
        raise UnknownModelError(f"No model here makes the videos of {model.name!r} sharper. Ask for 'stages' 1.")


class LoadedModels:
    """The pipelines of one device, as many as its memory limit allows. Those that were used last stay.

    A model that is larger than the limit is loaded alone.

    Args:
        execution: where and how they run.
        limit: bytes of weights; None: a share of what is free on the device now.
        sharers: how many workers share the device.
    """

    def __init__(self, execution: Execution, limit: int | None = None, sharers: int = 1) -> None:
        self.execution = execution
        self._at_first = Room.on(execution.device)
        free = self._at_first.device
        self._limit = limit if limit is not None or free is None else int(SHARE_OF_FREE * free / sharers)
        self._pipelines: OrderedDict[str, GenerationPipeline] = OrderedDict()
        self._weights: dict[str, Weights] = {}
        self._previews: dict[str, Preview] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The models that are loaded, the one that was used last at the end."""
        return tuple(self._pipelines)

    def get(self, model: ServedModel) -> GenerationPipeline:
        """The pipeline of ``model``, which is downloaded and loaded if necessary.

        Raises:
            CheckpointError, ConfigurationError, DeviceError: if it cannot be loaded.
        """
        if model.name not in self._pipelines:
            folder = model.snapshot.complete()
            self._make_room(self.weights(model).total)
            self._pipelines[model.name] = build_pipeline(folder, self.execution, show_progress=False)
        self._pipelines.move_to_end(model.name)
        return self._pipelines[model.name]

    def weights(self, model: ServedModel) -> Weights:
        """The weights of ``model`` on this device, loaded or not."""
        if model.name not in self._weights:
            networks = model.snapshot.folder.build_networks()
            self._weights[model.name] = weights_of(networks, *self.execution.precisions)
        return self._weights[model.name]

    @property
    def room(self) -> Room:
        """The memory for a job that has the device to itself, without any loaded model."""
        now, first, held = Room.on(self.execution.device), self._at_first, self._held()
        return Room(_most(first.device, now.device, held), _most(first.main, now.main, held))

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Inside the ``with`` block, only the model that was asked for last is loaded."""
        before, self._limit = self._limit, 0
        self.drop()
        try:
            yield
        finally:
            self._limit = before

    def preview(self, model: ServedModel) -> Preview:
        """How latents of ``model`` become pictures. It is fitted once, to the loaded model."""
        if model.name not in self._previews:
            self._previews[model.name] = Preview.fit(self.get(model).model)
        return self._previews[model.name]

    def drop(self) -> None:
        """Forget all of them."""
        self._pipelines.clear()
        self._collect()

    def _make_room(self, needed: int) -> None:
        if self._limit is None:
            return
        evicted = False
        while self._pipelines and self._held() + needed > self._limit:
            name, _ = self._pipelines.popitem(last=False)
            logger.info("Unloading '%s' to make room for another model.", name)
            evicted = True
        if evicted:
            self._collect()

    def _held(self) -> int:
        # A copy, because other threads ask, too.
        return sum(pipeline.model.weights.total for pipeline in list(self._pipelines.values()))

    def _collect(self) -> None:
        gc.collect()
        if self.execution.device.type == 'cuda':
            torch.cuda.empty_cache()


def _most(first: int | None, now: int | None, held: int) -> int | None:
    """What is free without models: what was free at first, or more if another program has ended since."""
    return None if first is None or now is None else max(first, now + held)
