"""The live reference UNet of stage 1 beside ours, same weights, same inputs."""

import pytest
import torch

from modelscope_i2v.networks import ImageToVideoUNet
from tests.golden import UNET_MICRO
from tests.reference.live import assert_close, build_pair

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
    file = 'image_to_video/modules/unet_i2v.py'
    return build_pair(file, 'Img2VidSDUNet', ARGUMENTS, lambda: ImageToVideoUNet(**UNET_MICRO))


@pytest.mark.parametrize('shape', [(1, 4, 1, 4, 4), (1, 4, 8, 4, 12), (2, 4, 3, 8, 8)])
@torch.no_grad()
def test_equal_outputs(networks, shape):
    reference, ours = networks
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=generator)
    y = torch.randn(shape[0], 1, 64, generator=generator)
    t = torch.randint(1000, (shape[0],), generator=generator)
    fps = torch.randint(1, 30, (shape[0],), generator=generator)
    assert_close(ours(x, t, y, fps), reference(x, t, y, fps=fps))
