import torch

from modelscope_i2v.diffusion import scaled_linear_schedule, trailing_timesteps

SCHEDULE = scaled_linear_schedule()


def sigmas_of(schedule, arguments):
    return torch.cat([schedule.sigma(trailing_timesteps(arguments.steps)), torch.zeros(1)])
