"""The live reference UNet of stage 2 beside ours, same weights, same inputs."""

import pytest
import torch

from modelscope_i2v.networks import VideoToVideoUNet
from tests.golden import UNET_V2V_MICRO
from tests.reference.live import MICRO, assert_close, at_every_level, build_pair

ARGUMENTS = {**MICRO, 'y_dim': 1024}


@pytest.fixture(scope='module')
def networks():
    file = 'video_to_video/modules/unet_v2v'
    return build_pair(file, 'Vid2VidSDUNet', ARGUMENTS, lambda: VideoToVideoUNet(**UNET_V2V_MICRO))


@pytest.mark.parametrize('shape', [(1, 4, 1, 6, 4), (1, 4, 8, 6, 12), (2, 4, 3, 10, 8)])
@pytest.mark.parametrize('tokens', [77, 5])
@torch.no_grad()
def test_equal_outputs(networks, shape, tokens):
    reference, ours = networks
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=generator)
    y = torch.randn(shape[0], tokens, 1024, generator=generator)
    t = torch.randint(1000, (shape[0],), generator=generator)
    expected = reference(x, t, y)
    for found in at_every_level(ours, x, t, y):
        assert_close(found, expected)
