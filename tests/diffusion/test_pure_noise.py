"""Samplers that start without any signal, where sigma is infinite."""

import math
from functools import partial

import pytest
import torch

from modelscope_i2v.diffusion import (
    brownian_noise,
    sample_ddim,
    sample_dpmpp_2m,
    sample_dpmpp_2m_sde,
    sample_euler,
    sample_heun,
    sample_unipc,
    v_prediction_denoiser,
    zero_snr_cosine_schedule,
)
from modelscope_i2v.diffusion.schedules import signal_scale
from tests.diffusion import gaussian

SCHEDULE = zero_snr_cosine_schedule()
SAMPLERS = {
    'ddim': sample_ddim,
    'euler': sample_euler,
    'dpmpp_2m': sample_dpmpp_2m,
    'unipc': sample_unipc,
    'heun': sample_heun,
    'dpmpp_2m_sde': partial(sample_dpmpp_2m_sde, noise=lambda _: torch.zeros(64, dtype=torch.float64)),
    'ancestral': partial(sample_ddim, eta=1.0, noise=lambda _: torch.zeros(64, dtype=torch.float64)),
}
DETERMINISTIC = ('ddim', 'euler', 'dpmpp_2m', 'unipc', 'heun')


def exact_network(latents, timestep):
    """The v of normally distributed data, from the exact mean of x0 given the latents."""
    alpha, sigma = SCHEDULE.alphas[timestep], SCHEDULE.sigmas_vp[timestep]
    variance = alpha**2 * gaussian.STD**2 + sigma**2
    x0 = gaussian.MEAN + alpha * gaussian.STD**2 / variance * (latents - alpha * gaussian.MEAN)
    if sigma == 1:
        return -x0
    return (alpha * latents - x0) / sigma


@pytest.mark.parametrize('name', DETERMINISTIC)
def test_pure_noise_becomes_the_data_distribution(name):
    timesteps = [999, *range(989, 0, -10)]
    sigmas = torch.cat([SCHEDULE.sigma(timesteps), torch.zeros(1, dtype=torch.float64)])
    assert math.isinf(sigmas[0])
    noise = torch.linspace(-2, 2, 64, dtype=torch.float64)
    x = noise / signal_scale(sigmas[0])
    out = SAMPLERS[name](v_prediction_denoiser(exact_network, SCHEDULE), x, sigmas)
    # The flow maps each quantile of the noise to the same quantile of the data.
    assert (out - (gaussian.MEAN + gaussian.STD * noise)).abs().max() < 0.03


@pytest.mark.parametrize('name', DETERMINISTIC)
def test_it_is_the_limit_of_ever_larger_sigmas(name):
    noise = torch.linspace(-2, 2, 64, dtype=torch.float64)
    # The first step is alone: what multistep solvers do next depends on how large a step they believe that it was.
    found = SAMPLERS[name](gaussian.denoiser, noise, [math.inf, 3.0])
    nearly = sample_ddim(gaussian.denoiser, noise * 1e9, [1e9, 3.0])
    assert (found - nearly).abs().max() < 1e-6


@pytest.mark.parametrize('name', SAMPLERS)
def test_every_step_calls_back_once_and_sees_the_whole_list(name):
    called = []
    sigmas = [math.inf, 5.0, 1.0, 0.0]
    noise = torch.linspace(-2, 2, 64, dtype=torch.float64)
    out = SAMPLERS[name](gaussian.denoiser, noise, sigmas, callback=lambda *step: called.append(step[:3]))
    assert called == [(0, math.inf, 5.0), (1, 5.0, 1.0), (2, 1.0, 0.0)]
    assert out.isfinite().all()


@pytest.mark.parametrize('name', SAMPLERS)
def test_one_step_is_the_estimate_of_the_network(name):
    noise = torch.linspace(-2, 2, 64, dtype=torch.float64)
    out = SAMPLERS[name](v_prediction_denoiser(exact_network, SCHEDULE), noise, [math.inf, 0.0])
    torch.testing.assert_close(out, torch.full((64,), gaussian.MEAN, dtype=torch.float64))


def test_a_callback_can_replace_the_first_result():
    target = torch.full((64,), 0.25, dtype=torch.float64)
    noise = torch.linspace(-2, 2, 64, dtype=torch.float64)
    replace = {0: target}
    out = sample_ddim(gaussian.denoiser, noise, [math.inf, 1.0, 0.9], callback=lambda index, *_: replace.get(index))
    torch.testing.assert_close(out, sample_ddim(gaussian.denoiser, target, [1.0, 0.9]))


def test_a_level_that_is_visited_twice_changes_nothing():
    noise = torch.linspace(-2, 2, 64, dtype=torch.float64)
    once, twice = (sample_ddim(gaussian.denoiser, noise, [math.inf] * count + [2.0, 0.0]) for count in (1, 2))
    assert torch.equal(once, twice)


def test_brownian_motion_runs_over_the_finite_levels():
    finite = brownian_noise((3,), [5.0, 1.0, 0.0], 7)
    infinite = brownian_noise((3,), [math.inf, 5.0, 1.0, 0.0], 7)
    outs = [
        sample_dpmpp_2m_sde(gaussian.denoiser, torch.ones(3), [5.0, 1.0, 0.0], noise=noise)
        for noise in (finite, infinite)
    ]
    assert torch.equal(*outs)
