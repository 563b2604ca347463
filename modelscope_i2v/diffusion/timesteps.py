"""Which timesteps a sampler visits: exactly as many as asked for (Lin et al. 2023, arXiv 2305.08891, table 2).

Samplers step in the logarithm of sigma. Near the end, "trailing" halves the timestep again and again, so that its last
steps and the jump to sigma 0 do not get smaller there as fast as their number grows: with it, solvers of any order
converge like those of the first. With "karras", they keep their order.
"""

from __future__ import annotations

import math

from modelscope_i2v.checks import integer
from modelscope_i2v.diffusion.schedules import NoiseSchedule
from modelscope_i2v.errors import InputError
from modelscope_i2v.terms import NUM_TRAIN_TIMESTEPS

#: "karras" spacing: the power of sigmas, and the largest finite sigma after one that is infinite, both from the paper.
RHO = 7
MAX_SIGMA = 80.0
#: The smallest sigma of "karras" spacing. Schedules that go down to 0.001 would need several long steps more.
MIN_SIGMA = 0.02


def leading_timesteps(steps: int, noise_level: int = NUM_TRAIN_TIMESTEPS) -> list[int]:
    """``t = 1 + floor(i L / steps)`` for ``i = steps-1 .. 0`` and ``L = noise_level``.

    As in the original if all 1000 levels are used and ``steps`` divides them. Then it starts below the noisiest
    timestep (981 for 50 steps), although sampling starts from pure noise. The step after the last one lands on timestep
    0, whose latents still have a trace of noise.

    Args:
        steps: at most ``noise_level``.
        noise_level: how many of the 1000 timesteps are used, counted from the least noisy one.
    """
    integer('steps', steps, 1, noise_level, error=InputError)
    return [min(1 + index * noise_level // steps, noise_level - 1) for index in reversed(range(steps))]


def trailing_timesteps(steps: int, noise_level: int = NUM_TRAIN_TIMESTEPS) -> list[int]:
    """``t = round(L - i L / steps) - 1`` for ``i = 0 .. steps-1`` and ``L = noise_level``.

    Starts at ``L - 1``, which is 999 if all levels are used, and ends without noise.

    Args:
        steps: at most ``noise_level``.
        noise_level: how many of the 1000 timesteps are used, counted from the least noisy one.
    """
    integer('steps', steps, 1, noise_level, error=InputError)
    return [round(noise_level - index * noise_level / steps) - 1 for index in range(steps)]


def karras_timesteps(schedule: NoiseSchedule, steps: int, noise_level: int = NUM_TRAIN_TIMESTEPS) -> list[int]:
    """Timesteps whose sigmas, to the power of 1/7, are evenly spaced (Karras et al. 2022, arXiv 2206.00364, eq. 5).

    Starts at ``noise_level - 1`` and ends where the least noise is, but not below a sigma of 0.02, which nobody sees.
    The jump from there to no noise is short. Every timestep is whole, so that the network is told exactly the noise
    that it sees.

    Args:
        steps: at most ``noise_level``.
        noise_level: how many of the 1000 timesteps are used, counted from the least noisy one. If there is no signal at
            the last of them, the second step starts at a sigma of 80 or less.
    """
    integer('steps', steps, 1, noise_level, error=InputError)
    first = [noise_level - 1] if math.isinf(schedule.sigmas[noise_level - 1]) else []
    count = steps - len(first)
    high = min(float(schedule.sigmas[noise_level - 1]), MAX_SIGMA)
    low = min(max(float(schedule.sigmas[0]), MIN_SIGMA), high)
    positions = [index / max(1, count - 1) for index in range(count)]
    roots = [high ** (1 / RHO) + position * (low ** (1 / RHO) - high ** (1 / RHO)) for position in positions]
    timesteps = [*first, *(schedule.timestep(root**RHO) for root in roots)]
    # Neighbours that share a timestep move apart, upwards from the end and then downwards from the start.
    for index in reversed(range(steps)):
        timesteps[index] = max(timesteps[index], timesteps[index + 1] + 1 if index + 1 < steps else 0)
    for index in range(steps):
        timesteps[index] = min(timesteps[index], noise_level - 1 if index == 0 else timesteps[index - 1] - 1)
    return timesteps


def sdedit_timesteps(steps: int, noise_level: int, *, drop_penultimate: bool = False) -> list[float]:
    """Stage 2: ``t = t_max - i (t_max + 1) / n`` for ``i = 0 .. n-1``, fractions included; ``t_max = noise_level - 1``.

    Args:
        steps: the number of solver steps, at most ``noise_level``.
        noise_level: how many of the 1000 timesteps are used, 1..999; the input is noised to the last of them.
        drop_penultimate: take ``n = steps + 1`` timesteps and leave out the last, so that the final step is a long one
            (as the original does for ``dpmpp_2m_sde``); else ``n = steps``.

    Raises:
        InputError: for an impossible ``noise_level``, or more steps than levels.
    """
    integer('noise_level', noise_level, 1, NUM_TRAIN_TIMESTEPS - 1, error=InputError)
    integer('steps', steps, 1, NUM_TRAIN_TIMESTEPS, error=InputError)
    if steps > noise_level:
        raise InputError(
            f"'steps' ({steps}) must not exceed 'noise_level' ({noise_level}): there are no more levels to visit. "
            'Lower steps or raise noise_level.'
        )
    count = steps + 1 if drop_penultimate else steps
    return [max(noise_level - 1 - index * noise_level / count, 0.0) for index in range(steps)]
