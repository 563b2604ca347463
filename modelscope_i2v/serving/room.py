"""Refuses a job that no device has the memory for, before it waits in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from modelscope_i2v.errors import DeviceError
from modelscope_i2v.generation.memory_check import CallInRoom
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.serving.models import LoadedModels
from modelscope_i2v.serving.plan import Plan, Share


def devices_with_room(plan: Plan, devices: Sequence[LoadedModels]) -> list[int]:
    """Which of the ``devices``, by index, have the memory for a plan, by the estimate that calls are refused by.

    Raises:
        DeviceError: if none has.
    """
    refusals = [_refusal(plan, device) for device in devices]
    fitting = [index for index, refusal in enumerate(refusals) if refusal is None]
    if not fitting:
        raise DeviceError(str(refusals[0]))
    return fitting


def _refusal(plan: Plan, device: LoadedModels) -> str | None:
    """Why a device cannot make the video of a plan; None if it can."""
    return next(filter(None, (_short(share, device) for share in plan.shares)), None)


def _short(share: Share, device: LoadedModels) -> str | None:
    size = share.size
    if size is None:
        return None
    # The input itself is not kept: its aspect is that of the video, but for rounding.
    given = InputSize(size.width / size.height, lambda most: min(most, size.frames or most))
    configuration = share.model.snapshot.folder.configuration
    call = CallInRoom(
        configuration, share.arguments, device.execution, device.room, device.weights(share.model), given=given
    )
    short = call.shortage(size)
    if short is None:
        return None
    options = call.less(size)
    advice = f'What fits: {", or ".join(options)}.' if options else 'No smaller video fits, either.'
    return f'{call.problem(size, short)} {advice}'
