"""The original's numbers at every memory level.

What waits in main memory is copied to the device as it is, so the levels give the same bits. Only 'ample', which takes
both passes of guidance in one batch, and the autoencoder's bands of rows, which large frames get at 'low' and below a
limit, add sums in another order. For the bands see ``tests/networks/test_bands.py``.
"""

import json

import numpy as np
import pytest
import torch

from modelscope_i2v.runtime.placement import on_device, tensors_of
from modelscope_i2v.runtime.streaming import streamed
from tests.calls import VIDEO, build
from tests.fake_device import FakeDevice, Networks
from tests.golden import DATA, NET_BOUND, difference, golden, unet_i2vgen_tiny, unet_tiny, unet_v2v_tiny

#: The golden file of a network, what builds it, and the names of its inputs.
NETWORKS = {
    'unet_i2v_tiny': (unet_tiny, ('x', 't', 'y', 'fps')),
    'unet_i2vgen_tiny': (unet_i2vgen_tiny, ('x', 't', 'text_features', 'image_embedding', 'image_latents', 'fps')),
    'unet_v2v_tiny': (unet_v2v_tiny, ('x', 't', 'y')),
}
#: The folder of a golden model, the file of its case, and the case's names of the arguments of a call.
NAMES = {name: name for name in ('seed', 'num_frames', 'height', 'width', 'fps', 'steps', 'guidance_scale')}
CASES = {
    'golden_model': ('e2e_i2v_dev', NAMES),
    'golden_model_i2vgen': ('e2e_i2vgen_dev', {**NAMES, 'text': 'text'}),
    'golden_model_2': ('e2e_v2v_dev', {'seed': 'seed', 'num_frames': 'max_frames', 'text': 'text'}),
}
#: A level that moves something, and a limit that none of these small models exceeds.
LEVELS = ('full', 'offload', 'low', '1GB')


@pytest.mark.parametrize('name', NETWORKS)
@torch.no_grad()
def test_networks_equal_the_original_wherever_their_weights_rest(name):
    make, names = NETWORKS[name]
    unet, data = make(), golden(name)
    given = [data[f'c1.{each}'] for each in names]
    whole = unet(*given)
    assert difference(whole, data['c1.out']) < NET_BOUND
    device = FakeDevice(Networks(unet))
    with on_device(tensors_of([unet]), device):
        assert device.has(unet)
        assert torch.equal(unet(*given), whole)
    with streamed(unet, device):
        assert torch.equal(unet(*given), whole)
        assert not device.has(unet)
    assert device.held() == 0
    assert torch.equal(unet(*given), whole)


@pytest.mark.slow
@pytest.mark.parametrize('folder', CASES)
def test_frames_equal_the_original_at_every_level(folder, request):
    file, names = CASES[folder]
    case = json.loads((DATA / f'{file}.json').read_text())
    expected = np.load(DATA / f'{file}.npz')['frames']
    call = {name: case[key] for name, key in names.items()}
    if 'video' in case:
        source, call['fit'] = str(DATA / case['video']), 'stretch'
    else:
        source = str(DATA / 'images' / case['image'])
    found = {}
    for level in LEVELS:
        pipeline = build(request.getfixturevalue(folder), case['task'], memory=level)
        device = FakeDevice(pipeline.model)
        found[level] = pipeline(source, output_type='np', **call)[VIDEO]
        assert (device.peak > 0) is (level in ('offload', 'low'))
        assert device.held() == 0
    different = np.abs(found['full'].astype(int) - expected.astype(int))
    assert different.max() <= 1
    assert (different > 0).mean() <= 1e-3
    for level in LEVELS:
        assert np.array_equal(found[level], found['full']), level
    ample = build(request.getfixturevalue(folder), case['task'], memory='ample')(source, output_type='np', **call)[
        VIDEO
    ]
    assert np.abs(ample.astype(int) - expected).max() <= 1
