"""A small UNet of each kind, with inputs for a batch of two."""

import torch

from tests.golden import unet_i2vgen_micro, unet_micro, unet_v2v_micro


def draw(*shape):
    """Noise that depends on the shape only."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


T, FPS, TEXT, IMAGE = torch.tensor([10, 900]), torch.tensor([4, 16]), draw(2, 77, 1024), draw(2, 1, 64)
#: Stage -> what builds the network, and its inputs.
UNETS = {
    'image-to-video': (unet_micro, (draw(2, 4, 3, 8, 8), T, IMAGE, FPS)),
    'i2vgen-xl': (unet_i2vgen_micro, (draw(2, 4, 3, 8, 8), T, TEXT, IMAGE, draw(2, 4, 8, 8), FPS)),
    'video-to-video': (unet_v2v_micro, (draw(2, 4, 3, 10, 8), T, TEXT)),
}
