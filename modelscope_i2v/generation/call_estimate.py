"""What a call will need, said before it starts, and on a machine without a GPU: memory, operations, time, files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelscope_i2v.checks import choice, number
from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.cards import CARDS, MOST_MEMORY, Card, advice, card_for
from modelscope_i2v.generation.load import find_model, is_folder
from modelscope_i2v.generation.memory import PhaseMemory, Weights, weights_of
from modelscope_i2v.generation.memory import estimate as estimate_memory
from modelscope_i2v.generation.memory_check import CallInRoom, Room
from modelscope_i2v.generation.passes import Passes
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.generation.work import Work
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.runtime.device import (
    DTYPES,
    resolve_autoencoder_dtype,
    resolve_device,
    resolve_weights_dtype,
)
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.memory_level import NAMED, MemoryLevel, resolve_memory
from modelscope_i2v.runtime.rate import MEASURED, measured_rate, resolve_rate
from modelscope_i2v.stage import Stage, stages


@dataclass(frozen=True, kw_only=True)
class LevelEstimate:
    """What a call needs at a memory level.

    Attributes:
        level: its name.
        phases: what is on the GPU in each phase, in bytes.
        device: bytes on the GPU at the peak.
        main: bytes in main memory: weights that wait there, and results.
        operations: floating-point operations of the whole call.
        seconds: the time at the rate, with what crosses the bus; None without a rate.
    """

    level: str
    phases: tuple[PhaseMemory, ...]
    device: int
    main: int
    operations: int
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class CallEstimate:
    """What a call needs.

    Attributes:
        model: as it was named.
        stage: the kind of model.
        frames, height, width: of the video that the networks process.
        dtype: the precision of the networks.
        weights_dtype: what large weights rest in, ``'fp8'``, or None.
        steps: of the solver.
        passes: of the UNet.
        weights: bytes of the networks' weights in memory.
        files: bytes of the weight files; None if they are not there.
        converted: bytes of the files that ``modelscope-i2v convert`` writes in half precision.
        levels: what it needs at each memory level.
        chosen: the level for the ``memory`` that was asked for; None: it depends on the card.
        cards: what to use on common cards.
        rate: operations per second that times are for, given or measured.
    """

    model: str
    stage: str
    frames: int
    height: int
    width: int
    dtype: str
    weights_dtype: str | None
    steps: int
    passes: Passes
    weights: Weights
    files: int | None
    converted: int
    levels: tuple[LevelEstimate, ...]
    chosen: str | None
    cards: tuple[Card, ...]
    rate: float | None

    @property
    def advice(self) -> str:
        """What to use on common cards, in sentences."""
        return advice(self.cards)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**dataclasses.asdict(self), 'advice': self.advice}


def estimate(
    model: str | os.PathLike[str],
    revision: str | None = None,
    *,
    offline: bool = False,
    dtype: str = 'fp16',
    autoencoder_dtype: str | torch.dtype | None = None,
    memory: str | None = 'auto',
    weights_dtype: str | torch.dtype | None = None,
    rate: float | str | None = None,
    cards: tuple[float, ...] = CARDS,
    **call: Any,
) -> CallEstimate:
    """What a call of a model will need on a GPU, without one, and without the weights. It takes about ten seconds.

    Memory is that of the refusal of calls that cannot fit; operations are counted on the meta device.

    >>> modelscope_i2v.estimate('damo/Video-to-Video').advice
    "On a card of 6 GB use memory='offload', which takes 4.4 GiB. On a card of 8 GB or more use memory='full', ..."

    Args:
        model: a model's folder, whose weight files need not be there, or a hub id. For the published models, by id or
            as ``'image-to-video'``, ``'video-to-video'`` or ``'i2vgen-xl'``, nothing is downloaded; for another id, its
            configuration is.
        revision: revision of a hub id; None means the hub's default.
        offline: use the cache only, never the network.
        dtype: ``'fp32'``, ``'fp16'`` or ``'bf16'``, for UNet and CLIP.
        autoencoder_dtype: as for loading, ``'fp32'`` by default.
        weights_dtype: as for loading, None by default.
        memory: as for loading; it decides :attr:`CallEstimate.chosen`.
        rate: operations per second that the GPU reaches, such as ``5e13`` or ``'50T'``, or ``'measured'``: that of this
            machine in products of large matrices, of which networks reach a part. None: no times.
        cards: their memory in GB of 2^30 bytes.
        **call: arguments of the call. A video that follows its input counts as one of the model's own aspect ratio, and
            without ``num_frames`` as one of ``max_frames`` frames.

    Raises:
        TypeError: for an unknown argument. InputError: for a value that is not allowed.
        ConfigurationError, CheckpointError: if there is no such model.
    """
    per_second = resolve_rate(rate)
    choice('dtype', dtype, tuple(DTYPES), error=InputError)
    if not isinstance(cards, (list, tuple)):
        raise InputError(f"'cards' must be a list of numbers, found {shown(cards)}.")
    memories = [number('cards', card, 0, MOST_MEMORY, open_low=True, error=InputError) for card in cards]
    gpu = torch.device('cuda')
    execution = Execution(
        gpu,
        DTYPES[dtype],
        'sdpa',
        autoencoder_dtype=resolve_autoencoder_dtype(autoencoder_dtype),
        memory=resolve_memory(memory),
        weights_dtype=resolve_weights_dtype(weights_dtype, gpu),
    )
    folder = model_of(model, revision, offline=offline)
    networks = folder.build_networks()
    fitting, size = fitting_call(folder, networks, execution, call)
    configuration, arguments, weights = fitting.configuration, fitting.arguments, fitting.weights
    if per_second == MEASURED:
        per_second = measured_rate(resolve_device(None, warn=False), execution.dtype)
    work = Work.of(folder.stage, configuration, arguments, size, networks)

    def at(level: MemoryLevel) -> LevelEstimate:
        there = execution.at(level)
        memory = estimate_memory(configuration, arguments, there, size, weights=weights)
        return LevelEstimate(
            level=level.name,
            phases=memory.phases,
            device=memory.on(execution.device),
            main=memory.main,
            operations=work.operations(there),
            seconds=None if per_second is None else work.seconds(there, weights, float(per_second)),
        )

    return CallEstimate(
        model=os.fspath(model),
        stage=folder.stage.name,
        frames=int(size.frames or 0),
        height=size.height,
        width=size.width,
        dtype=dtype,
        weights_dtype=None if execution.weights_dtype is None else 'fp8',
        steps=int(arguments.steps or 0),
        passes=work.passes,
        weights=weights,
        files=_bytes_of_files(folder),
        converted=weights_of(networks, torch.float16, torch.float16).total,
        levels=tuple(map(at, NAMED)),
        chosen=None if execution.memory == 'auto' else fitting.level(size).name,
        cards=tuple(card_for(fitting, size, memory) for memory in sorted(memories)),
        rate=None if per_second is None else float(per_second),
    )


def fitting_call(
    folder: ModelFolder, networks: Mapping[str, nn.Module], execution: Execution, call: Mapping[str, Any]
) -> tuple[CallInRoom, VideoSize]:
    """A call of a model, as the refusal of calls sees it, with any room, and the size of its video.

    Args:
        networks: of the model, on the meta device.

    Raises:
        TypeError: for an unknown argument. InputError: for a value that is not allowed.
    """
    configuration = folder.configuration
    arguments = merge_arguments(folder.stage.arguments, folder.call_defaults(), call)
    configuration.check_call(arguments)
    usual = configuration.video_size(merge_arguments(folder.stage.arguments, folder.call_defaults(), {}))
    given = InputSize(usual.width / usual.height, lambda most: most)
    size = configuration.video_size(arguments, given)
    if size.frames is None:
        size = dataclasses.replace(size, frames=configuration.max_frames)
    weights = weights_of(networks, *execution.precisions)
    return CallInRoom(configuration, arguments, execution, Room(None, None), weights, given=given), size


def model_of(model: str | os.PathLike[str], revision: str | None = None, *, offline: bool = False) -> ModelFolder:
    """The configuration of a model: of a folder, of a published model by its name, or from the hub.

    Raises:
        InputError, ConfigurationError, CheckpointError: as in :func:`~modelscope_i2v.generation.load.find_model`.
    """
    if isinstance(model, str) and revision is None and not is_folder(model):
        name = model.rpartition('/')[2].lower()
        published = next((stage for stage in stages() if stage.name == name), None)
        if published is not None:
            return _published(model, published)
    return find_model(model, revision, offline=offline).folder


def _published(model: str, stage: Stage) -> ModelFolder:
    """The published model of a stage, whose configuration has the defaults."""
    content = {'model': {'model_args': dict(stage.weight_files), 'model_cfg': {}}}
    return ModelFolder.parse(model, stage, content)


def _bytes_of_files(folder: ModelFolder) -> int | None:
    """Bytes of the weight files; None unless all of them are there."""
    try:
        return sum(file.stat().st_size for file in folder.files.values())
    except OSError:
        return None
