"""End to end: the original implementation's own frames, through ModelScope's ``pipeline()``."""

import json

import numpy as np
import pytest
from modelscope.pipelines import pipeline

import modelscope_i2v  # noqa: F401
from tests.golden import DATA

VIDEO = str(DATA / 'video_5f_96x64.avi')


@pytest.fixture(scope='module')
def stage2(golden_model_2):
    return pipeline(task='video-to-video', model=str(golden_model_2), device='cpu', show_progress=False)


def test_frames_equal_the_reference(stage2):
    case = json.loads((DATA / 'e2e_v2v_dev.json').read_text())
    expected = np.load(DATA / 'e2e_v2v_dev.npz')['frames']
    result = stage2(
        {'video_path': VIDEO, 'text': case['text']},
        seed=case['seed'],
        num_frames=case['max_frames'],
        fit='stretch',
        output_type='np',
    )
    frames = result['output_video']
    assert frames.shape == expected.shape
    difference = np.abs(frames.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_both_sides_given_is_stretching_to_them(stage2):
    call = {'num_frames': 1, 'steps': 1, 'seed': 1, 'output_type': 'np'}
    stretched = stage2(VIDEO, fit='stretch', **call)['output_video']
    assert np.array_equal(stage2(VIDEO, height=144, width=256, **call)['output_video'], stretched)
