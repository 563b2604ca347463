"""The noise levels that stage 2 visits, and the scale it starts at."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modelscope_i2v.diffusion import (
    NoiseSchedule,
    karras_timesteps,
    logsnr_cosine_interp_schedule,
    sdedit_timesteps,
)
from modelscope_i2v.video_to_video.arguments import VideoToVideoArguments

#: What the network was trained on.
SCHEDULE = logsnr_cosine_interp_schedule()
#: The only level that the original implementation knows.
REFERENCE_NOISE_LEVEL = 600


def sigmas_of(schedule: NoiseSchedule, arguments: VideoToVideoArguments) -> torch.Tensor:
    """The noise levels of a call, float32 ``[steps + 1]``, down to zero."""
    steps, levels = int(arguments.steps or 0), arguments.noise_level
    timesteps: Sequence[float]
    if arguments.timestep_spacing == 'karras':
        timesteps = karras_timesteps(schedule, steps, levels)
    else:
        timesteps = sdedit_timesteps(steps, levels, drop_penultimate=arguments.sampler.drop_penultimate)
    return torch.cat([schedule.sigma(timesteps), torch.zeros(1)])


def start_scale(sigma: float, noise_level: int) -> float:
    """The factor from noised latents of unit variance to the scale of a sampler that starts at ``sigma``.

    The exact factor is sqrt(1 + sigma^2). The original implementation, which always uses 600 levels, takes sigma
    instead: its network first sees 0.97 times the noised latents, and its results depend on this. With more levels the
    two factors converge. With fewer, sigma would go to 0 and scale the input away.
    """
    return sigma if noise_level >= REFERENCE_NOISE_LEVEL else (1 + sigma**2) ** 0.5
