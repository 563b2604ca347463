"""Layers that get one slice of their input at a time compute what they compute from all of it."""

import pytest
import torch

from modelscope_i2v.networks import AutoencoderKL, slicing
from modelscope_i2v.networks.slicing import CPU_SLICE_VALUES, SLICE_VALUES, in_slices, slice_length, slice_limit
from tests.golden import (
    AUTOENCODER_MICRO,
    NET_BOUND,
    difference,
    golden,
    unet_v2v_tiny,
    with_recipe_weights,
)
from tests.micro_unets import UNETS, draw


@pytest.fixture
def one_at_a_time(monkeypatch):
    """Cut every input, however small, into single frames and rows."""
    monkeypatch.setattr(slicing, 'SLICE_VALUES', 1)
    monkeypatch.setattr(slicing, 'MAX_SLICES', 10**9)


def test_lengths_follow_from_the_shape():
    frame = 2**19  # four of them are one slice
    assert slice_length(1, frame) == 1
    assert slice_length(4, 4 * frame) == 4
    assert slice_length(5, 5 * frame) == 4
    assert slice_length(5, 5 * frame + 5) == 3
    assert slice_length(5, 5 * 2**30) == 1
    assert slice_length(1000, 1000 * frame) == 32
    assert slice_length(33, 33 * 2**30) == 2
    assert slice_length(1, 0) == 1
    assert slice_length(5, 5 * frame, frame) == 1


@torch.no_grad()
def test_slices_are_smaller_on_a_cpu():
    """Such tensors are freed and asked for anew without the operating system."""
    assert (slice_limit(torch.device('cpu')), slice_limit(torch.device('cuda', 1))) == (CPU_SLICE_VALUES, SLICE_VALUES)
    lengths = {}
    for device in 'cpu', 'meta':
        seen = lengths[device] = []
        in_slices(lambda x, seen=seen: seen.append(len(x)) or x, torch.empty(8, 2**18, device=device), dim=0)
    assert lengths == {'cpu': [2, 2, 2, 2], 'meta': [8]}


@pytest.mark.parametrize('dim', [0, 1, 2])
@torch.no_grad()
def test_every_index_is_seen_once_and_put_in_its_place(monkeypatch, dim):
    monkeypatch.setattr(slicing, 'SLICE_VALUES', 1)
    monkeypatch.setattr(slicing, 'MAX_SLICES', 3)
    x, seen = torch.randn(7, 8, 9, generator=torch.Generator().manual_seed(0)), []

    def layer(a, b):
        seen.append(a.shape[dim])
        return torch.stack([a, 2 * b], dim=3)

    assert torch.equal(in_slices(layer, x, x + 1, dim=dim), torch.stack([x, 2 * (x + 1)], dim=3))
    assert seen == {7: [3, 3, 1], 8: [3, 3, 2], 9: [3, 3, 3]}[x.shape[dim]]


def test_autograd_gets_everything_at_once(one_at_a_time):
    calls = []
    in_slices(lambda x: calls.append(1) or x, torch.zeros(5, 2), dim=0)
    assert calls == [1]


def autoencoder_micro():
    return with_recipe_weights(lambda: AutoencoderKL(**AUTOENCODER_MICRO), 'autoencoder_micro')


@pytest.mark.parametrize('name', UNETS)
@torch.no_grad()
def test_unets_in_single_frames_and_rows(request, name):
    """Products of fewer rows may be summed in another order, so the last bits may differ."""
    build, inputs = UNETS[name]
    unet = build()
    whole = unet(*inputs)
    request.getfixturevalue('one_at_a_time')
    assert difference(unet(*inputs), whole) < 1e-5


@torch.no_grad()
def test_the_autoencoder_with_attention_of_single_pixels(request):
    autoencoder, z, x = autoencoder_micro(), draw(2, 4, 3, 4), draw(1, 3, 16, 24)
    decoded, encoded = autoencoder.decode(z), autoencoder.encode(x)[0]
    request.getfixturevalue('one_at_a_time')
    assert difference(autoencoder.decode(z), decoded) < 1e-5
    assert difference(autoencoder.encode(x)[0], encoded) < 1e-5


@pytest.mark.parametrize('name', UNETS)
def test_what_works_in_place_for_inference_does_not_with_autograd(name):
    """The same outputs in both modes, and gradients that predict a small step."""
    build, inputs = UNETS[name]
    unet = build().double()
    x = inputs[0].double().requires_grad_()
    out = unet(x, *inputs[1:])
    out.square().sum().backward()
    direction = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert difference(unet(x, *inputs[1:]), out) < 1e-10
        up, down = (unet(x + step * direction, *inputs[1:]).square().sum() for step in (1e-5, -1e-5))
    assert ((up - down) / 2e-5).item() == pytest.approx((x.grad * direction).sum().item(), rel=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_in_single_frames_and_rows_they_equal_the_reference(one_at_a_time):
    unet, data = unet_v2v_tiny(), golden('unet_v2v_tiny')
    for case in ('c1', 'c2', 'c3_b2_y1'):
        out = unet(*(data[f'{case}.{each}'] for each in ('x', 't', 'y')))
        assert difference(out, data[f'{case}.out']) < NET_BOUND
