import torch

from modelscope_i2v.diffusion import classifier_free_guidance, in_one_batch, in_turn
from tests.golden import difference, unet_i2vgen_micro


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def passes(calls, **options):
    """Guidance between constant predictions 3 and 1, and a record of every pass."""

    def network(name, value):
        return lambda latents, timestep: calls.append((name, timestep)) or torch.full_like(latents, value)

    return classifier_free_guidance(network('c', 3.0), network('u', 1.0), guidance_scale=2.0, **options)


def test_guidance_outside_its_interval_is_one_pass():
    calls = []
    network = passes(calls, guidance_min_timestep=200, guidance_max_timestep=700)
    found = [network(torch.zeros(1), timestep).item() for timestep in (999, 701, 700, 200, 199)]
    assert found == [3.0, 3.0, 5.0, 5.0, 3.0]
    assert calls == [('c', 999), ('c', 701), ('c', 700), ('u', 700), ('c', 200), ('u', 200), ('c', 199)]


def test_a_pair_is_asked_only_where_there_is_guidance():
    calls = []
    pair = in_turn(lambda x, t: calls.append(t) or x + 3, lambda x, t: x + 1)
    network = passes(calls, guidance_max_timestep=700, pair=pair)
    assert [network(torch.zeros(1), timestep).item() for timestep in (999, 500)] == [3.0, 5.0]
    assert calls == [('c', 999), 500]


@torch.no_grad()
def test_both_predictions_of_a_network_in_one_batch():
    """With all kinds of conditions, and two videos: the first half of the batch is with the condition."""
    unet, latents, timestep = unet_i2vgen_micro(), draw(2, 4, 3, 8, 8), torch.full((2,), 700)
    shared = draw(2, 4, 8, 8), torch.tensor([4, 16])
    sides = [(draw(2, 77, 1024), draw(2, 1, 64), *shared), (draw(2, 77, 1024) + 1, torch.zeros(2, 1, 64), *shared)]
    calls = []

    def bound(*conditions):
        def network(x, t):
            calls.append(len(x))
            return unet(x, torch.full((len(x),), t), *conditions)

        return network

    one = in_one_batch(bound(*map(torch.cat, zip(*sides, strict=True))))(latents, 700)
    two = in_turn(*(bound(*side) for side in sides))(latents, 700)
    assert calls == [4, 2, 2]
    assert all(difference(a, b) < 1e-5 for a, b in zip(one, two, strict=True))
    assert torch.equal(two[0], unet(latents, timestep, *sides[0]))
    assert difference(two[0], two[1]) > 0.01
