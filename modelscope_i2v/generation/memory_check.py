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
from modelscope_i2v.generation.memory import estimate
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.free_memory import free_memory

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
    weights: int = 0,
    given: InputSize | None = None,
) -> None:
    """Raise DeviceError if a call needs more memory than there is, unless it has ``force``.

    An input whose frames were not counted and are not limited by ``num_frames`` is read as far as the UNet's window
    reaches, and only if a full window does not fit; if it is not known yet, it counts as one frame.

    Args:
        room: the memory that is free; None looks it up.
        weights: bytes of the weights, if they are not loaded yet.
        given: the input video, if there is one and it is known.
    """
    if arguments.force:
        return
    call = _Call(configuration, arguments, execution, room or Room.on(execution.device), weights, given)
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
    """A device that is too small: the bytes that a call needs there, and those that are free."""

    device: torch.device
    needed: int
    free: int


@dataclass(frozen=True)
class _Call:
    """A call and the memory for it."""

    configuration: StageConfiguration
    arguments: GenerationArguments
    execution: Execution
    room: Room
    weights: int
    given: InputSize | None

    def shortage(self, size: VideoSize) -> _Shortage | None:
        """The first device that is too small for a video of ``size``; None if it fits."""
        needed = estimate(self.configuration, self.arguments, self.execution, size, weights=self.weights)
        device, on_device, in_main = self.execution.device, needed.weights + needed.device, needed.results
        if device == MAIN_MEMORY:
            on_device, in_main = on_device + in_main, 0
        for where, bytes_needed, free in (
            (device, on_device, self.room.device),
            (MAIN_MEMORY, in_main, self.room.main),
        ):
            if free is not None and bytes_needed > free:
                return _Shortage(where, bytes_needed, free)
        return None

    def fits(self, size: VideoSize) -> bool:
        """Whether a video of ``size`` fits."""
        return self.shortage(size) is None

    def refusal(self, size: VideoSize, short: _Shortage) -> str:
        """The message for a ``size`` that does not fit."""
        frames = f'{size.frames} frame{"s" if size.frames != 1 else ""}'
        return (
            f'{frames} of {size.width} x {size.height} pixels would take about {_gib(short.needed)} of memory'
            f"{f', {_gib(self.weights)} of it for the weights' if self.weights else ''}, but '{short.device}' has only "
            f'{_gib(short.free)} free. {self._advice(size)} force=True (--force) runs the call all the same.'
        )

    def _advice(self, size: VideoSize) -> str:
        options = []
        frames = self._most_frames(size)
        if frames:
            options.append(f'num_frames={frames} at this size')
        smaller = self._largest_size(size)
        if smaller is not None:
            sides = ', '.join(f'{name}={value}' for name, value in smaller.items() if value is not None)
            options.append(f'{sides} for {size.frames} frames' if (size.frames or 0) > 1 else sides)
        if not options:
            return "Not even the smallest video fits: free some memory, or use another device or dtype='fp16'."
        return f'What fits: {", or ".join(options)}.'

    def _most_frames(self, size: VideoSize) -> int:
        """The largest number of frames that fits at this size, 0 if not even one does."""
        counts = range(1, size.frames or 1)
        return bisect.bisect_left(
            counts, True, key=lambda count: not self.fits(dataclasses.replace(size, frames=count))
        )

    def _largest_size(self, size: VideoSize) -> dict[str, Any] | None:
        """The arguments for the largest size at which this many frames fit, None if there is none."""
        for sides in self.configuration.smaller_sizes(self.arguments, self.given):
            smaller = self.configuration.video_size(dataclasses.replace(self.arguments, **sides), self.given)
            if self.fits(dataclasses.replace(smaller, frames=size.frames)):
                return sides
        return None


def _gib(size: int) -> str:
    return f'{size / 2**30:,.1f} GiB' if size >= 2**30 / 10 else f'{size / 2**20:,.0f} MiB'
