"""The second generation's whole diffusion, including a micro network, against the original implementation."""

import pytest
import torch

from modelscope_i2v.diffusion import (
    classifier_free_guidance,
    leading_timesteps,
    sample_ddim,
    v_prediction_denoiser,
    zero_snr_cosine_schedule,
)
from modelscope_i2v.diffusion.schedules import signal_scale
from tests.golden import SAMPLER_BOUND, difference, golden, unet_i2vgen_micro

SCHEDULE = zero_snr_cosine_schedule()


@pytest.fixture(scope='module')
def unet():
    return unet_i2vgen_micro()


@torch.no_grad()
def sample(unet, steps, **options):
    data = golden('ddim_i2vgen_micro')

    def network(text_features, image_embedding):
        return lambda latents, t: unet(
            latents, torch.tensor([t]), text_features, image_embedding, data['ddim.image_latents'], torch.tensor([16])
        )

    embedding = data['ddim.image_embedding']
    guided = classifier_free_guidance(
        network(data['ddim.text_features'], embedding),
        network(data['ddim.negative_text_features'], torch.zeros_like(embedding)),
        guidance_scale=9.0,
    )
    sigmas = SCHEDULE.sigma([*leading_timesteps(steps), 0])
    x = data['ddim.noise'] / signal_scale(sigmas[0]).float()
    out = sample_ddim(v_prediction_denoiser(guided, SCHEDULE), x, sigmas, **options)
    return out * signal_scale(sigmas[-1]).float()


@pytest.mark.parametrize('steps', [4, 10, 50])
def test_ddim_equals_reference(unet, steps):
    expected = golden('ddim_i2vgen_micro')[f'ddim.steps_{steps}.final']
    assert difference(sample(unet, steps), expected) < SAMPLER_BOUND


def test_the_trajectory_equals_reference_step_by_step(unet):
    found = []
    sample(unet, 4, callback=lambda _, __, sigma, x: found.append(x * signal_scale(sigma).float()))
    assert difference(torch.stack(found), golden('ddim_i2vgen_micro')['ddim.steps_4.trajectory']) < SAMPLER_BOUND
