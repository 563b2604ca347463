"""The live reference UNet beside ours, same weights, same inputs."""

import pytest
import torch

from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from tests.golden import NET_BOUND, UNET_MICRO, difference
from tests.reference.live import build, reference_file

ARGUMENTS = {
    'in_dim': 4,
    'out_dim': 4,
    'dim': 32,
    'y_dim': 64,
    'input_dim': 64,
    'context_dim': 1024,
    'dim_mult': [2, 2, 4],
    'num_heads': 4,
    'head_dim': 16,
    'num_res_blocks': 1,
    'attn_scales': [1.0, 0.5],
    'use_checkpoint': False,
    'num_tokens': 4,
}


@pytest.fixture(scope='module')
def networks():
    with pytest.MonkeyPatch.context() as monkeypatch:
        module = reference_file(monkeypatch, 'image_to_video/modules/unet_i2v.py')
        reference = build(lambda: module.Img2VidSDUNet(**ARGUMENTS))
        generator = torch.Generator().manual_seed(11)
        for parameter in reference.parameters():  # the reference zeroes some layers; every tensor should count here
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.data = torch.randn(parameter.shape, generator=generator) / fan_in**0.5 + (parameter.data == 1)
        ours = load_weights(build_on_meta(lambda: ImageToVideoUNet(**UNET_MICRO)), reference.state_dict())
        yield reference, ours.eval()


@pytest.mark.parametrize('shape', [(1, 4, 1, 4, 4), (1, 4, 8, 4, 12), (2, 4, 3, 8, 8)])
@torch.no_grad()
def test_equal_outputs(networks, shape):
    reference, ours = networks
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=generator)
    y = torch.randn(shape[0], 1, 64, generator=generator)
    t = torch.randint(1000, (shape[0],), generator=generator)
    fps = torch.randint(1, 30, (shape[0],), generator=generator)
    expected = reference(x, t, y, fps=fps)
    assert expected.std() > 0.05
    assert difference(ours(x, t, y, fps), expected) < NET_BOUND * max(1.0, expected.abs().max().item())
