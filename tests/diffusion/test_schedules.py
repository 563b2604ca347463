import json
from itertools import pairwise

import pytest
import torch

from modelscope_i2v.diffusion import leading_timesteps, scaled_linear_schedule, trailing_timesteps
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.errors import InputError
from tests.golden import DATA, difference, golden


@pytest.fixture(scope='module')
def schedule():
    return scaled_linear_schedule()


def test_stage_1_schedule_equals_reference(schedule):
    data = golden('schedules')
    assert difference(schedule.alphas_cumprod, data['i2v.alphas_cumprod']) < 1e-12
    ratio = data['i2v.sqrt_one_minus_alphas_cumprod'] / data['i2v.sqrt_alphas_cumprod']
    assert difference(schedule.sigmas, ratio) < 1e-9


def test_timestep_inverts_sigma_for_every_timestep(schedule):
    assert [schedule.timestep(sigma) for sigma in schedule.sigmas] == list(range(1000))


def test_signal_scale_is_the_square_root_of_alphas_cumprod(schedule):
    assert difference(signal_scale(schedule.sigmas), schedule.alphas_cumprod.sqrt()) < 1e-12


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
    assert isinstance(signal_scale(1.0), torch.Tensor)
