"""Stage 1's whole diffusion, including a micro network, against trajectories of the original implementation."""

import pytest
import torch

from modelscope_i2v.diffusion import (
    classifier_free_guidance,
    sample_ddim,
    scaled_linear_schedule,
    v_prediction_denoiser,
)
from modelscope_i2v.diffusion.schedules import signal_scale
from tests.golden import NET_BOUND, SAMPLER_BOUND, difference, golden, unet_micro

SCHEDULE = scaled_linear_schedule()


@pytest.fixture(scope='module')
def unet():
    return unet_micro()


def sample(unet, start, y, timesteps, *, guidance_scale, **options):
    fps = torch.tensor([8])

    def network(embedding):
        return lambda latents, t: unet(latents, torch.full((latents.shape[0],), t), embedding, fps)

    guided = classifier_free_guidance(network(y), network(torch.zeros_like(y)), guidance_scale=guidance_scale)
    sigmas = SCHEDULE.sigma([*timesteps, 0])
    x = start / signal_scale(sigmas[0]).float()
    out = sample_ddim(v_prediction_denoiser(guided, SCHEDULE), x, sigmas, **options)
    return out * signal_scale(sigmas[-1]).float()


@pytest.mark.parametrize(('case', 'steps'), [('s4', 4), ('s10', 10), ('s50', 50)])
@torch.no_grad()
def test_ddim_equals_reference(unet, case, steps):
    data = golden('ddim_micro')
    timesteps = range(1001 - 1000 // steps, 0, -(1000 // steps))
    out = sample(unet, data[f'{case}.noise'], data[f'{case}.y'], timesteps, guidance_scale=3.0)
    assert difference(out, data[f'{case}.out']) < SAMPLER_BOUND


@torch.no_grad()
def test_the_trajectory_equals_reference_step_by_step(unet):
    data = golden('ddim_micro')
    found = []

    def record(index, sigma, sigma_next, x):
        found.append(x * signal_scale(sigma_next).float())

    sample(unet, data['s4.noise'], data['s4.y'], [751, 501, 251, 1], guidance_scale=3.0, callback=record)
    expected = [data['s4.xt.1'], data['s4.xt.2'], data['s4.xt.3'], data['s4.out']]
    assert [difference(x, y) < SAMPLER_BOUND for x, y in zip(found, expected, strict=True)] == [True] * 4
    fps, t = torch.tensor([8]), torch.tensor([751])
    assert difference(unet(data['s4.xt.0'], t, data['s4.y'], fps), data['s4.cond.0']) < NET_BOUND
    assert difference(unet(data['s4.xt.0'], t, 0 * data['s4.y'], fps), data['s4.uncond.0']) < NET_BOUND


@torch.no_grad()
def test_stochastic_ddim_equals_reference(unet):
    data = golden('ddim_micro')
    noises = data['eta1_s4.step_noises']
    out = sample(
        unet,
        data['eta1_s4.noise'],
        data['eta1_s4.y'],
        [751, 501, 251, 1],
        guidance_scale=3.0,
        eta=1.0,
        noise=lambda step: noises[step.index],
    )
    assert difference(out, data['eta1_s4.out']) < SAMPLER_BOUND
