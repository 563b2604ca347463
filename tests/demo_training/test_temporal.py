import torch

from demo_training.temporal import set_temporal_layers, temporal_modules, zero_temporal_outputs
from modelscope_i2v.networks import ImageToVideoUNet
from tests.golden import UNET_MICRO


def inputs(frames=3):
    generator = torch.Generator().manual_seed(1)
    embedding = torch.randn(1, 1, 64, generator=generator)
    return torch.randn(1, 4, frames, 8, 8, generator=generator), torch.tensor([7]), embedding, torch.tensor([8.0])


def unet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ImageToVideoUNet(**UNET_MICRO).eval()


@torch.no_grad()
def test_layers_that_add_nothing_can_be_skipped():
    network = unet()
    x = inputs()
    alive = network(*x)
    zero_temporal_outputs(network)
    silent = network(*x)
    set_temporal_layers(network, False)
    assert torch.allclose(network(*x), silent, atol=1e-6)
    assert (alive - silent).abs().max() > 1e-3
    set_temporal_layers(network, True)
    assert torch.equal(network(*x), silent)


@torch.no_grad()
def test_frames_without_temporal_layers_are_pictures_of_their_own():
    network = unet()
    set_temporal_layers(network, False)
    x, *conditions = inputs()
    together = network(x, *conditions)
    apart = torch.cat([network(x[:, :, n : n + 1], *conditions) for n in range(3)], dim=2)
    assert torch.allclose(together, apart, atol=1e-5)


def test_disabled_layers_are_not_trained_and_the_others_are():
    network = unet()
    temporal = {id(p) for part in temporal_modules(network) for p in part.parameters()}
    assert 0 < len(temporal) < len(list(network.parameters()))
    set_temporal_layers(network, False)
    assert {id(p) for p in network.parameters() if not p.requires_grad} == temporal
    network(*inputs(1)).sum().backward()
    assert all((p.grad is None) == (id(p) in temporal) for p in network.parameters())
    set_temporal_layers(network, True)
    assert all(p.requires_grad for p in network.parameters())
