"""End to end: the original implementation's own frames, through ModelScope's ``pipeline()``."""

import json

import numpy as np
import pytest
import torch
from modelscope.pipelines import pipeline

import modelscope_i2v  # noqa: F401
from tests.golden import DATA, NET_BOUND, SAMPLER_BOUND, difference

CASE = json.loads((DATA / 'e2e_i2vgen_dev.json').read_text())
IMAGE = str(DATA / 'images' / CASE['image'])
CALL = {name: CASE[name] for name in ('seed', 'num_frames', 'height', 'width', 'fps', 'steps', 'guidance_scale')}


@pytest.fixture(scope='module')
def expected():
    return {name: torch.from_numpy(array) for name, array in np.load(DATA / 'e2e_i2vgen_dev.npz').items()}


@pytest.fixture(scope='module')
def second(golden_model_i2vgen):
    return pipeline(task='image-to-video', model=str(golden_model_i2vgen), device='cpu', show_progress=False)


@torch.no_grad()
def test_conditions_equal_the_reference(second, expected):
    inputs = second.preprocessor(IMAGE, height=CASE['height'], width=CASE['width'])
    assert difference(inputs['pixel_values'], expected['pixel_values']) < 1e-6
    assert difference(second.model.encode_image(inputs['pixel_values']), expected['image_embedding']) < NET_BOUND
    features = second.model.encode_text(CASE['text'])
    assert features.shape == (1, 77, 1024)
    assert difference(features[:, : expected['text'].shape[1]], expected['text']) < NET_BOUND
    generator = torch.Generator().manual_seed(CASE['seed'])
    latents = second.model.encode_frames(inputs['frame'], generator)[:, :, 0]
    assert difference(latents, expected['image_latents']) < NET_BOUND


def test_frames_equal_the_reference(second, expected):
    latents = second(IMAGE, text=CASE['text'], output_type='latent', **CALL)['output_video']
    assert difference(latents, expected['latents']) < SAMPLER_BOUND
    result = second(IMAGE, text=CASE['text'], output_type='np', **CALL)
    frames = result['output_video']
    assert result['seed'] == CASE['seed']
    assert frames.shape == expected['frames'].shape
    assert frames.dtype == np.uint8
    different = np.abs(frames.astype(int) - expected['frames'].numpy().astype(int))
    assert different.max() <= 1
    assert (different > 0).mean() <= 1e-3


def test_configured_defaults_are_the_references(second):
    # The model's configuration sets the size and 4 frames; the rest is built in.
    resolved = second.resolve_arguments({})
    assert all(getattr(resolved, name) == CASE[name] for name in ('num_frames', 'fps', 'steps', 'guidance_scale'))
    assert (resolved.solver, resolved.timestep_spacing, resolved.output_fps) == ('ddim', 'leading', 8)
    assert (resolved.noise_strength, resolved.eta, resolved.guidance_rescale) == (0, 0, 0)
    assert second.model.configuration.size_for(96 / 64, None, None) == (64, 96)
