import json
from itertools import pairwise

import pytest
import torch

from modelscope_i2v.diffusion import leading_timesteps, scaled_linear_schedule, trailing_timesteps
from modelscope_i2v.diffusion.schedules import (
    logsnr_cosine_interp_schedule,
    signal_scale,
    zero_snr_cosine_schedule,
)
from modelscope_i2v.errors import InputError
from tests.golden import DATA, difference, golden


@pytest.fixture(scope='module')
def schedule():
    return scaled_linear_schedule()


def test_stage_1_schedule_equals_reference(schedule):
    data = golden('schedules')
    assert difference(schedule.alphas**2, data['i2v.alphas_cumprod']) < 1e-12
    ratio = data['i2v.sqrt_one_minus_alphas_cumprod'] / data['i2v.sqrt_alphas_cumprod']
    assert difference(schedule.sigmas, ratio) < 1e-9


def test_timestep_inverts_sigma_for_every_timestep(schedule):
    for table in (schedule, logsnr_cosine_interp_schedule(), zero_snr_cosine_schedule()):
        assert [table.timestep(sigma) for sigma in table.sigmas.tolist()] == list(range(1000))


def test_signal_scale_is_the_square_root_of_alphas_cumprod(schedule):
    assert difference(signal_scale(schedule.sigmas), schedule.alphas) < 1e-12


def test_stage_2_schedule_equals_reference():
    data, schedule = golden('schedules'), logsnr_cosine_interp_schedule()
    assert schedule.sigmas_vp.dtype == torch.float32
    assert difference(schedule.sigmas_vp, data['v2v.sigmas_vp']) < 1e-6
    assert difference(schedule.alphas, data['v2v.alphas']) < 3e-5
    # The last digit of sigma_vp depends on the processor. One unit in that place changes sigma_ve by this much.
    expected = data['v2v.sigma_ve_all'][:999]
    bound = 2**-22 * (1 + expected.square())
    assert ((schedule.sigmas[:999] / expected - 1).abs() < bound.clamp(min=1e-6)).all()
    assert schedule.sigmas[999].isinf()
    assert data['v2v.sigma_ve_all'][999].isinf()


def test_stage_2_sigmas_and_timesteps_equal_reference():
    data, schedule = golden('schedules'), logsnr_cosine_interp_schedule()
    finite = data['v2v.t_to_sigma.sigma'].isfinite()
    found = schedule.sigma(data['v2v.t_to_sigma.t'].tolist())
    assert torch.equal(found.isfinite(), finite)
    assert difference((found / data['v2v.t_to_sigma.sigma'])[finite], torch.ones(int(finite.sum()))) < 1e-5
    for sigma, t in zip(data['v2v.sigma_to_t.sigma'].tolist(), data['v2v.sigma_to_t.t'].tolist(), strict=True):
        assert schedule.timestep(sigma) == round(t)


def test_the_second_generations_schedule_equals_reference():
    data, schedule = golden('ddim_i2vgen_micro'), zero_snr_cosine_schedule()
    assert difference(schedule.alphas**2, data['alphas_cumprod']) < 1e-12
    squared = schedule.alphas**2
    betas = 1 - squared / torch.cat([torch.ones(1, dtype=torch.float64), squared[:-1]])
    # Ratios of the last, tiny shares of signal keep fewer digits.
    assert difference(betas[:990], data['betas'][:990]) < 1e-12
    assert difference(betas, data['betas']) < 1e-9
    assert (schedule.alphas[999], schedule.sigmas_vp[999]) == (0, 1)
    assert schedule.sigmas[:999].isfinite().all()
    assert schedule.sigmas[999].isinf()


@pytest.mark.parametrize('steps', [4, 10, 20, 25, 50])
def test_the_second_generations_timesteps_equal_reference(steps):
    assert leading_timesteps(steps) == golden('ddim_i2vgen_micro')[f'ddim_timesteps_{steps}'].tolist()


def test_leading_timesteps_equal_the_reference_where_steps_divide_1000():
    reference = json.loads((DATA / 'schedules.json').read_text())['ddim_timesteps']
    for steps, timesteps in reference.items():
        if 1000 % int(steps) == 0:
            assert leading_timesteps(int(steps)) == timesteps


@pytest.mark.parametrize('timesteps', [leading_timesteps, trailing_timesteps])
def test_always_exactly_the_number_asked_for(timesteps):
    for steps in range(1, 1001):
        found = timesteps(steps)
        assert len(found) == steps
        assert all(0 <= t <= 999 for t in found)
        strictly = all(a > b for a, b in pairwise(found))
        assert strictly or (timesteps, steps) == (leading_timesteps, 1000)


def test_trailing_timesteps_start_at_pure_noise():
    assert trailing_timesteps(4) == [999, 749, 499, 249]
    assert trailing_timesteps(1) == [999]
    assert trailing_timesteps(1000) == list(range(999, -1, -1))


@pytest.mark.parametrize('steps', [0, -1, 1001, 2.5, True, '50'])
@pytest.mark.parametrize('timesteps', [leading_timesteps, trailing_timesteps])
def test_impossible_steps_are_refused(timesteps, steps):
    with pytest.raises(InputError, match='steps'):
        timesteps(steps)


def test_signal_scale_of_a_number():
    assert float(signal_scale(1.0)) == pytest.approx(0.5**0.5)
    assert float(signal_scale(float('inf'))) == 1
    assert isinstance(signal_scale(1.0), torch.Tensor)
