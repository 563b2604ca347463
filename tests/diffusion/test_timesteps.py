"""Which timesteps are visited, and what that does to the order of solvers, shown where the solution is known."""

import math
from itertools import pairwise

import pytest
import torch

from modelscope_i2v.diffusion import (
    karras_timesteps,
    logsnr_cosine_interp_schedule,
    sample_ddim,
    sample_dpmpp_2m,
    sample_unipc,
    scaled_linear_schedule,
    trailing_timesteps,
    zero_snr_cosine_schedule,
)
from modelscope_i2v.errors import InputError
from tests.diffusion import gaussian

SCHEDULES = {
    'image-to-video': scaled_linear_schedule(),
    'i2vgen-xl': zero_snr_cosine_schedule(),
    'video-to-video': logsnr_cosine_interp_schedule(),
}
STAGE_1 = SCHEDULES['image-to-video']
SOLVERS = {'ddim': sample_ddim, 'dpmpp_2m': sample_dpmpp_2m, 'unipc': sample_unipc}


def error(solver, timesteps):
    """Distance from the solution at sigma 0."""
    sigmas = torch.cat([STAGE_1.sigma(timesteps), torch.zeros(1, dtype=torch.float64)])
    x = gaussian.start(float(sigmas[0]))
    return (SOLVERS[solver](gaussian.denoiser, x, sigmas) - gaussian.exact(x, float(sigmas[0]), 0.0)).abs().max().item()


@pytest.mark.parametrize('solver', SOLVERS)
def test_trailing_makes_every_solver_one_of_first_order(solver):
    errors = [error(solver, trailing_timesteps(steps)) for steps in (10, 20, 40, 80)]
    assert all(0.75 < math.log2(coarse / fine) < 1.25 for coarse, fine in pairwise(errors)), errors


def test_its_end_is_what_spoils_it():
    """The same timesteps up to the last, which stays 49 of 1000: the rest converges, and the jump to 0 does not."""
    errors = [error('dpmpp_2m', [*trailing_timesteps(steps)[: -steps // 20], 49]) for steps in (40, 80, 160)]
    assert max(errors) < 1.2 * min(errors)
    assert error('dpmpp_2m', karras_timesteps(STAGE_1, 40)) < 0.1 * min(errors)


@pytest.mark.parametrize(('solver', 'order'), [('ddim', 1), ('dpmpp_2m', 2), ('unipc', 3)])
def test_karras_keeps_the_order(solver, order):
    coarse, fine = (error(solver, karras_timesteps(STAGE_1, steps)) for steps in (10, 20))
    assert math.log2(coarse / fine) > order - 0.35, (coarse, fine)


def test_karras_is_closer_than_trailing_at_the_same_number_of_steps():
    for solver in ('dpmpp_2m', 'unipc'):
        assert error(solver, karras_timesteps(STAGE_1, 20)) < 0.2 * error(solver, trailing_timesteps(20))


@pytest.mark.parametrize('stage', SCHEDULES)
@pytest.mark.parametrize('levels', [1, 2, 10, 600, 1000])
def test_karras_visits_as_many_whole_timesteps_as_asked_for(stage, levels):
    for steps in {1, min(2, levels), min(10, levels), (levels + 1) // 2, levels}:
        found = karras_timesteps(SCHEDULES[stage], steps, levels)
        assert len(found) == steps
        assert all(isinstance(timestep, int) for timestep in found)
        assert found[0] == levels - 1
        assert all(earlier > later >= 0 for earlier, later in pairwise(found))


def test_karras_follows_the_papers_formula():
    sigmas = STAGE_1.sigma(karras_timesteps(STAGE_1, 10)) ** (1 / 7)
    steps = sigmas[:-1] - sigmas[1:]
    assert (steps[:-3] / steps.mean() - 1).abs().max() < 0.05  # later, timesteps are few and far between
    assert karras_timesteps(STAGE_1, 10)[-1] == 0
    assert karras_timesteps(SCHEDULES['video-to-video'], 10, 600)[-1] == 6  # its sigma is 0.02


def test_without_any_signal_karras_goes_on_at_a_finite_sigma():
    schedule = SCHEDULES['i2vgen-xl']
    first, second, *_ = schedule.sigma(karras_timesteps(schedule, 10)).tolist()
    assert math.isinf(first)
    assert 70 < second < 90


def test_more_steps_than_levels_are_refused():
    with pytest.raises(InputError, match="'steps' must be"):
        karras_timesteps(STAGE_1, 11, 10)
