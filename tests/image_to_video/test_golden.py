"""End to end: the original implementation's own frames, through ModelScope's ``pipeline()``."""

import json

import numpy as np
import pytest
import torch
from modelscope.pipelines import pipeline

import modelscope_i2v  # noqa: F401
from tests.golden import DATA


@pytest.fixture(scope='module')
def stage1(golden_model):
    return pipeline(task='image-to-video', model=str(golden_model), device='cpu', show_progress=False)


def test_frames_equal_the_reference(stage1):
    case = json.loads((DATA / 'e2e_i2v_dev.json').read_text())
    expected = np.load(DATA / 'e2e_i2v_dev.npz')['frames']
    names = ('seed', 'num_frames', 'height', 'width', 'fps', 'steps', 'guidance_scale')
    result = stage1(str(DATA / 'images' / case['image']), output_type='np', **{name: case[name] for name in names})
    frames = result['output_video']
    assert result['seed'] == case['seed']
    assert frames.shape == expected.shape
    assert frames.dtype == np.uint8
    difference = np.abs(frames.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_configured_defaults_are_the_references(stage1):
    # The model's configuration sets 64x96, 5 frames and 8 fps; 50 steps and guidance 3.0 are built in.
    case = json.loads((DATA / 'e2e_i2v_dev.json').read_text())
    recipe = stage1.recipe(stage1.resolve_arguments({}))
    assert all(recipe[name] == case[name] for name in ('num_frames', 'height', 'width', 'fps', 'steps'))
    assert (recipe['guidance_scale'], recipe['solver'], recipe['timestep_spacing']) == (3.0, 'ddim', 'leading')


@pytest.mark.parametrize('dtype', ['bf16', 'fp16'])
def test_half_precision_stays_close(golden_model, stage1, dtype):
    half = pipeline('image-to-video', model=str(golden_model), device='cpu', show_progress=False, dtype=dtype)
    image = str(DATA / 'images' / 'gray_333x500.png')
    exact, rounded = (p(image, seed=1, steps=4, output_type='pt')['output_video'] for p in (stage1, half))
    assert half.model.unet.dtype == {'bf16': torch.bfloat16, 'fp16': torch.float16}[dtype]
    assert rounded.dtype == torch.float32
    error = (exact - rounded).abs().mean()
    assert 0 < error < {'bf16': 0.02, 'fp16': 0.004}[dtype]
