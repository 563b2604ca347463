"""Clean latents at a noise level, and the timesteps below one."""

import pytest
import torch

from modelscope_i2v.diffusion import add_noise, leading_timesteps, scaled_linear_schedule, trailing_timesteps
from modelscope_i2v.errors import InputError

SCHEDULE = scaled_linear_schedule()


@pytest.mark.parametrize('timestep', [0, 1, 250, 599, 999])
def test_it_is_the_forward_process(timestep):
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 4, 1, 8, 8, generator=generator), torch.randn(2, 4, 5, 8, 8, generator=generator)
    expected = SCHEDULE.alphas[timestep] * clean + SCHEDULE.sigmas_vp[timestep] * noise
    made = add_noise(clean, noise, SCHEDULE.sigmas[timestep])
    assert made.shape == noise.shape
    assert made.dtype == torch.float32
    assert (made - expected).abs().max() < 1e-5


def test_clean_latents_of_unit_variance_stay_so():
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(1, 4, 16, 64, 64, generator=generator) for _ in range(2))
    for sigma in (0.1, 1.0, 10.0):
        assert add_noise(clean, noise, sigma).var() == pytest.approx(1, abs=0.01)


def test_no_noise_and_a_constant_picture():
    constant, noise = torch.full((1, 4, 1, 8, 8), 3.0), torch.randn(1, 4, 2, 8, 8)
    assert torch.equal(add_noise(constant, noise, 0.0), constant.expand_as(noise))
    assert torch.equal(add_noise(constant, torch.zeros_like(noise), 1.0), torch.full_like(noise, 3.0 / 2**0.5))


@pytest.mark.parametrize(
    ('timesteps', 'expected'),
    [
        (leading_timesteps, [481, 361, 241, 121, 1]),
        (trailing_timesteps, [599, 479, 359, 239, 119]),
    ],
)
def test_timesteps_below_a_noise_level(timesteps, expected):
    assert timesteps(5, 600) == expected
    assert timesteps(5, 1000) == timesteps(5)
    with pytest.raises(InputError, match="'steps' must be a whole number from 1 to 600"):
        timesteps(601, 600)
