"""The live reference UNet of stage 1 beside ours, same weights, same inputs."""

import pytest
import torch

from modelscope_i2v.networks import ImageToVideoUNet
from tests.golden import UNET_MICRO
from tests.reference.live import MICRO, assert_close, at_every_level, build_pair

ARGUMENTS = {**MICRO, 'y_dim': 64, 'input_dim': 64, 'num_tokens': 4}


@pytest.fixture(scope='module')
def networks():
    file = 'image_to_video/modules/unet_i2v'
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
    expected = reference(x, t, y, fps=fps)
    for found in at_every_level(ours, x, t, y, fps):
        assert_close(found, expected)
