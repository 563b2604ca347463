"""Refuses a call that needs more memory than the device has, and says what would fit."""

from __future__ import annotations

import bisect
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from modelscope_i2v.errors import DeviceError
from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.generation.configuration import StageConfiguration
from modelscope_i2v.generation.levels import choose_level
from modelscope_i2v.generation.memory import NO_WEIGHTS, Estimate, Weights, estimate
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.free_memory import free_memory
from modelscope_i2v.runtime.memory_level import LEVELS, MemoryLevel, limit_of

MAIN_MEMORY = torch.device('cpu')


@dataclass(frozen=True)
class Room:
    """Free bytes on the device and in main memory, which may be the same; None: not known, so nothing is refused."""

    device: int | None
    main: int | None

    @classmethod
    def on(cls, device: torch.device) -> Room:
        """What is free now."""
        main = free_memory(MAIN_MEMORY)
        return cls(main if device == MAIN_MEMORY else free_memory(device), main)


def check_memory(
    configuration: StageConfiguration,
    arguments: GenerationArguments,
    execution: Execution,
    *,
    room: Room | None = None,
    weights: Weights = NO_WEIGHTS,
    resident: int = 0,
    resting: int = 0,
    given: InputSize | None = None,
) -> None:
    """Raise DeviceError if a call needs more memory than there is, or than it may take, unless it has ``force``.

    It is estimated at the memory level that the call gets.

    An input whose frames were not counted and are not limited by ``num_frames`` is read as far as the UNet's window
    reaches, and only if a full window does not fit; if it is not known yet, it counts as one frame.

    Args:
        room: the memory that is free; None looks it up.
        weights: of the model.
        resident: how many bytes of them are on the device already.
        resting: how many bytes of them wait in main memory already.
        given: the input video, if there is one and it is known.
    """
    if arguments.force:
        return
    call = CallInRoom(
        configuration, arguments, execution, room or Room.on(execution.device), weights, resident, resting, given
    )
    size = configuration.video_size(arguments, given)
    if size.frames is None and given is None:
        size = dataclasses.replace(size, frames=1)
    elif size.frames is None and given is not None:
        window = dataclasses.replace(size, frames=configuration.max_frames)
        size = window if call.fits(window) else dataclasses.replace(size, frames=given.count(configuration.max_frames))
    short = call.shortage(size)
    if short is not None:
        raise DeviceError(call.refusal(size, short))


@dataclass(frozen=True)
class _Shortage:
    """Too little memory.

    Attributes:
        needed: the bytes that a call needs.
        weights: how many of them are for weights.
        why: what is too small, as part of a sentence.
        wait: whether those only wait there, in main memory.
    """

    needed: int
    weights: int
    why: str
    wait: bool = False

    @property
    def share(self) -> str:
        """How much of it is for weights, as part of a sentence."""
        if not self.weights:
            return ''
        return f', {in_gib(self.weights)} of it for {"weights that wait there" if self.wait else "the weights"}'


@dataclass(frozen=True)
class CallInRoom:
    """A call and the memory for it.

    Attributes:
        resident, resting: bytes of the weights that are on the device, and that wait in main memory, already.
        given: what is known of the input.
    """

    configuration: StageConfiguration
    arguments: GenerationArguments
    execution: Execution
    room: Room
    weights: Weights
    resident: int = 0
    resting: int = 0
    given: InputSize | None = None

    def level(self, size: VideoSize) -> MemoryLevel:
        """The memory level for a video of ``size``."""
        return choose_level(self.configuration, self.arguments, self.execution, size, self.weights)

    def estimate(self, size: VideoSize) -> Estimate:
        """What a video of ``size`` needs at its memory level."""
        execution = self.execution.at(self.level(size))
        return estimate(self.configuration, self.arguments, execution, size, weights=self.weights)

    def shortage(self, size: VideoSize) -> _Shortage | None:
        """What is too small for a video of ``size``; None if it fits."""
        needed, device, limit = self.estimate(size), self.execution.device, limit_of(self.execution.memory)
        if limit is not None and needed.on(device) > limit:
            why = f'memory={self.execution.memory!r} allows only {in_gib(limit)}'
            return _Shortage(needed.on(device), needed.weights, why)
        on_device, weights = needed.on(device) - self.resident, max(0, needed.weights - self.resident)
        if self.room.device is not None and on_device > self.room.device:
            return _Shortage(on_device, weights, f"'{device}' has only {in_gib(self.room.device)} free")
        if device == MAIN_MEMORY or self.room.main is None:
            return None
        waiting = max(0, needed.resting - self.resting)
        in_main = needed.main - needed.resting + waiting
        if in_main <= self.room.main:
            return None
        return _Shortage(in_main, waiting, f'main memory has only {in_gib(self.room.main)} free', wait=True)

    def fits(self, size: VideoSize) -> bool:
        """Whether a video of ``size`` fits."""
        return self.shortage(size) is None

    def refusal(self, size: VideoSize, short: _Shortage) -> str:
        """The message for a ``size`` that does not fit."""
        return f'{self.problem(size, short)} {self._advice(size)} force=True (--force) runs the call all the same.'

    def problem(self, size: VideoSize, short: _Shortage) -> str:
        """What is wrong with a ``size`` that does not fit, without advice."""
        frames = f'{size.frames} frame{"s" if size.frames != 1 else ""}'
        return (
            f'{frames} of {size.width} x {size.height} pixels would take about {in_gib(short.needed)} of memory'
            f'{short.share}, but {short.why}.'
        )

    def _advice(self, size: VideoSize) -> str:
        options = self.less(size)
        limited = limit_of(self.execution.memory) is not None
        sparing = next((level.name for level in LEVELS if self.limited(level.name).fits(size)), None)
        if sparing is not None and not limited:
            options.append(f'memory={sparing!r}')
        if not options and not limited:
            lowest = LEVELS[-1].name
            options = [f'memory={lowest!r} with {less}' for less in self.limited(lowest).less(size)]
        if not options:
            more = 'allow more memory' if limited else 'free some memory'
            return f"Not even the smallest video fits: {more}, or use another device or dtype='fp16'."
        return f'What fits: {", or ".join(options)}.'

    def less(self, size: VideoSize) -> list[str]:
        """The most frames, and the largest size, that fit at its memory level."""
        options = []
        frames = self.most_frames(size)
        if frames:
            options.append(f'num_frames={frames} at this size')
        smaller = self.largest_size(size)
        if smaller is not None:
            sides = ', '.join(f'{name}={value}' for name, value in smaller.items() if value is not None)
            options.append(f'{sides} for {size.frames} frames' if (size.frames or 0) > 1 else sides)
        return options

    def limited(self, memory: str) -> CallInRoom:
        """The same call with another memory level or limit."""
        return dataclasses.replace(self, execution=dataclasses.replace(self.execution, memory=memory))

    def most_frames(self, size: VideoSize) -> int:
        """The largest number of frames that fits at this size, 0 if not even one does."""
        counts = range(1, size.frames or 1)
        return bisect.bisect_left(
            counts, True, key=lambda count: not self.fits(dataclasses.replace(size, frames=count))
        )

    def largest_size(self, size: VideoSize) -> dict[str, Any] | None:
        """The arguments for the largest size at which this many frames fit, None if there is none."""
        for sides in self.configuration.smaller_sizes(self.arguments, self.given):
            smaller = self.configuration.video_size(dataclasses.replace(self.arguments, **sides), self.given)
            if self.fits(dataclasses.replace(smaller, frames=size.frames)):
                return sides
        return None


def in_gib(size: int) -> str:
    """Bytes as people read them."""
    return f'{size / 2**30:,.1f} GiB' if size >= 2**30 / 10 else f'{size / 2**20:,.0f} MiB'
