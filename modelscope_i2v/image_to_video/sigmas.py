"""The noise levels that stage 1 visits."""

from __future__ import annotations

import torch

from modelscope_i2v.diffusion import (
    NoiseSchedule,
    karras_timesteps,
    leading_timesteps,
    scaled_linear_schedule,
    trailing_timesteps,
)
from modelscope_i2v.image_to_video.arguments import PictureArguments

#: What the network was trained on.
SCHEDULE = scaled_linear_schedule()


def sigmas_of(schedule: NoiseSchedule, arguments: PictureArguments) -> torch.Tensor:
    """The noise levels of a call, float64 ``[steps + 1]``; "leading" ends at timestep 0, the others at zero noise."""
    steps, levels = arguments.steps_taken, arguments.levels_used
    if arguments.timestep_spacing == 'leading':
        return schedule.sigma([*leading_timesteps(steps, levels), 0])
    if arguments.timestep_spacing == 'karras':
        timesteps = karras_timesteps(schedule, steps, levels)
    else:
        timesteps = trailing_timesteps(steps, levels)
    return torch.cat([schedule.sigma(timesteps), torch.zeros(1, dtype=torch.float64)])
