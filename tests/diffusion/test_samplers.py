import math
from itertools import pairwise

import pytest
import torch

from modelscope_i2v.diffusion import sample_ddim, sample_dpmpp_2m, sample_euler, sample_unipc
from modelscope_i2v.errors import InputError
from tests.diffusion import gaussian

SAMPLERS = {'ddim': sample_ddim, 'euler': sample_euler, 'dpmpp_2m': sample_dpmpp_2m, 'unipc': sample_unipc}


@pytest.mark.parametrize(('name', 'order'), [('ddim', 1), ('euler', 1), ('dpmpp_2m', 2), ('unipc', 3)])
def test_error_falls_at_the_solvers_order(name, order):
    sigma, sigma_next = 10.0, 0.1
    x = gaussian.start(sigma)
    errors = []
    for steps in (40, 80, 160):
        out = SAMPLERS[name](gaussian.denoiser, x, gaussian.geometric_sigmas(sigma, sigma_next, steps))
        errors.append((out - gaussian.exact(x, sigma, sigma_next)).abs().max().item())
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(abs(found - order) < 0.35 for found in orders), (errors, orders)


@pytest.mark.parametrize('name', SAMPLERS)
def test_many_steps_to_sigma_zero_give_the_data_distribution(name):
    sigma = 14.6
    x = gaussian.start(sigma)
    sigmas = torch.cat([gaussian.geometric_sigmas(sigma, 0.005, 200), torch.zeros(1, dtype=torch.float64)])
    out = SAMPLERS[name](gaussian.denoiser, x, sigmas)
    assert (out - gaussian.exact(x, sigma, 0.0)).abs().max() < 0.05


@pytest.mark.parametrize('name', SAMPLERS)
def test_one_step_to_sigma_zero_is_the_denoiser(name):
    x = gaussian.start(5.0)
    torch.testing.assert_close(SAMPLERS[name](gaussian.denoiser, x, [5.0, 0.0]), gaussian.denoiser(x, 5.0))


@pytest.mark.parametrize('name', SAMPLERS)
def test_every_step_evaluates_once_and_calls_back_once(name):
    evaluated, called = [], []

    def denoiser(x, sigma):
        evaluated.append(sigma)
        return gaussian.denoiser(x, sigma)

    sigmas = [5.0, 3.0, 1.0, 0.0]
    SAMPLERS[name](denoiser, gaussian.start(5.0), sigmas, callback=lambda *step: called.append(step[:3]))
    assert evaluated == sigmas[:-1]
    assert called == [(0, 5.0, 3.0), (1, 3.0, 1.0), (2, 1.0, 0.0)]


@pytest.mark.parametrize('name', SAMPLERS)
def test_a_callback_can_replace_x(name):
    target = torch.full((64,), 0.25, dtype=torch.float64)

    def restart(index, sigma, sigma_next, x):
        return target if index == 1 else None

    replaced = SAMPLERS[name](gaussian.denoiser, gaussian.start(5.0), [5.0, 3.0, 1.0, 0.9], callback=restart)
    other = SAMPLERS[name](gaussian.denoiser, gaussian.start(5.0), [5.0, 3.0, 1.0, 0.9])
    # One short step away from the value that the callback returned, not from the one that it replaced.
    assert (replaced - target).abs().max() < 0.15
    assert (other - target).abs().max() > 0.5


@pytest.mark.parametrize('name', ['euler', 'dpmpp_2m', 'unipc'])
@pytest.mark.parametrize('sigmas', [[1.0], [1.0, 2.0], [1.0, 1.0, 0.0], [1.0, 0.5, -0.1]])
def test_sigmas_that_do_not_fall_are_refused(name, sigmas):
    with pytest.raises(InputError, match='fall'):
        SAMPLERS[name](gaussian.denoiser, gaussian.start(1.0), sigmas)


def test_ancestral_ddim_keeps_the_marginal_distribution():
    sigma, sigma_next = 10.0, 0.3
    generator = torch.Generator().manual_seed(5)
    count = 20000
    x = gaussian.MEAN + (gaussian.STD**2 + sigma**2) ** 0.5 * torch.randn(count, generator=generator)
    sigmas = gaussian.geometric_sigmas(sigma, sigma_next, 300)
    out = sample_ddim(gaussian.denoiser, x, sigmas, eta=1.0, noise=lambda _: torch.randn(count, generator=generator))
    assert abs(out.mean() - gaussian.MEAN) < 0.02
    assert abs(out.std() - (gaussian.STD**2 + sigma_next**2) ** 0.5) < 0.02


def test_stochastic_ddim_needs_noise():
    with pytest.raises(InputError, match='noise'):
        sample_ddim(gaussian.denoiser, gaussian.start(1.0), [1.0, 0.0], eta=0.5)
