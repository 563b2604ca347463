"""Which memory level a call gets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from modelscope_i2v.generation.memory import Weights, estimate
from modelscope_i2v.runtime.free_memory import total_memory
from modelscope_i2v.runtime.memory_level import FULL, LEVELS, MemoryLevel, limit_of, named_level

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.generation.video_size import VideoSize
    from modelscope_i2v.runtime.execution import Execution

#: With 'auto', a tenth of a GPU is left to its driver, and to what an estimate does not count.
SHARE_OF_TOTAL = 0.9


def choose_level(
    configuration: StageConfiguration,
    arguments: GenerationArguments,
    execution: Execution,
    size: VideoSize,
    weights: Weights,
    *,
    total: int | None = None,
) -> MemoryLevel:
    """The level that was named, or the first one at which a call fits into the limit, or into the GPU for ``'auto'``.

    If it fits at none, that which needs least. What happens to be free decides nothing, so that the same call gives the
    same numbers on every day. ``'auto'`` is the full level on other devices.

    Args:
        size: of the video. If its frames are not known, they count as one window of the network.
        total: bytes that the device has; None looks that up.
    """
    named = named_level(execution.memory)
    if named is not None:
        return named
    allowed = limit_of(execution.memory)
    if allowed is None and execution.device.type == 'cuda':
        total = total or total_memory(execution.device)
        allowed = None if total is None else int(total * SHARE_OF_TOTAL)
    if allowed is None:
        return FULL
    known = size if size.frames is not None else dataclasses.replace(size, frames=configuration.max_frames)
    for level in LEVELS:
        needed = estimate(configuration, arguments, execution.at(level), known, weights=weights)
        if needed.on(execution.device) <= allowed:
            return level
    return LEVELS[-1]
