"""Diffusion as functions: noise schedules, guidance, denoisers and samplers. Torch only.

The conventions, after Karras et al. 2022 (arXiv 2206.00364): a sampler walks down a list of ``sigmas`` and carries
``x = x0 + sigma * noise`` ("variance exploding"). A denoiser maps ``(x, sigma)`` to an estimate of ``x0``. A network
works on ``latents = x / sqrt(1 + sigma^2)``, whose variance stays about one ("variance preserving"), and on integer
timesteps; :class:`~modelscope_i2v.diffusion.schedules.NoiseSchedule` translates.
"""

from modelscope_i2v.diffusion.denoiser import v_prediction_denoiser
from modelscope_i2v.diffusion.guidance import classifier_free_guidance
from modelscope_i2v.diffusion.samplers import sample_ddim, sample_dpmpp_2m, sample_euler, sample_unipc
from modelscope_i2v.diffusion.schedules import NoiseSchedule, scaled_linear_schedule
from modelscope_i2v.diffusion.timesteps import leading_timesteps, trailing_timesteps

__all__ = [
    'NoiseSchedule',
    'classifier_free_guidance',
    'leading_timesteps',
    'sample_ddim',
    'sample_dpmpp_2m',
    'sample_euler',
    'sample_unipc',
    'scaled_linear_schedule',
    'trailing_timesteps',
    'v_prediction_denoiser',
]
