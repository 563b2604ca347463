"""Diffusion as functions: noise schedules, guidance, denoisers and samplers. Torch only.

The conventions, after Karras et al. 2022 (arXiv 2206.00364): a sampler walks down a list of ``sigmas`` and carries
``x = x0 + sigma * noise`` ("variance exploding"). At an infinite sigma, ``x`` is the noise itself. A denoiser maps
``(x, sigma)`` to an estimate of ``x0``. A network works on ``latents = x / sqrt(1 + sigma^2)``, whose variance stays
about one ("variance preserving"), and on integer timesteps;
:class:`~modelscope_i2v.diffusion.schedules.NoiseSchedule` converts between the two.
"""

from modelscope_i2v.diffusion.brownian import brownian_noise
from modelscope_i2v.diffusion.deep_cache import reuse_deep_features
from modelscope_i2v.diffusion.denoiser import v_prediction_denoiser
from modelscope_i2v.diffusion.guidance import classifier_free_guidance, in_one_batch, in_turn
from modelscope_i2v.diffusion.samplers import (
    sample_ddim,
    sample_dpmpp_2m,
    sample_dpmpp_2m_sde,
    sample_euler,
    sample_heun,
    sample_unipc,
)
from modelscope_i2v.diffusion.schedules import (
    NoiseSchedule,
    add_noise,
    logsnr_cosine_interp_schedule,
    scaled_linear_schedule,
    zero_snr_cosine_schedule,
)
from modelscope_i2v.diffusion.timesteps import karras_timesteps, leading_timesteps, sdedit_timesteps, trailing_timesteps
from modelscope_i2v.diffusion.windows import temporal_windows

__all__ = [
    'NoiseSchedule',
    'add_noise',
    'brownian_noise',
    'classifier_free_guidance',
    'in_one_batch',
    'in_turn',
    'karras_timesteps',
    'leading_timesteps',
    'logsnr_cosine_interp_schedule',
    'reuse_deep_features',
    'sample_ddim',
    'sample_dpmpp_2m',
    'sample_dpmpp_2m_sde',
    'sample_euler',
    'sample_heun',
    'sample_unipc',
    'scaled_linear_schedule',
    'sdedit_timesteps',
    'temporal_windows',
    'trailing_timesteps',
    'v_prediction_denoiser',
    'zero_snr_cosine_schedule',
]
