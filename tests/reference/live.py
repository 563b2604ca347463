"""The reference networks from the installed ``modelscope`` package, to be run side by side with ours."""

import os
from collections.abc import Iterator

import pytest
import torch

from benchmarks.run.reference import reference_module
from benchmarks.run.rows import NotRunError
from modelscope_i2v.networks.unet import SpatioTemporalUNet
from modelscope_i2v.runtime.placement import on_device, tensors_of
from modelscope_i2v.runtime.streaming import streamed
from modelscope_i2v.weights import build_on_meta, load_weights
from tests.fake_device import FakeDevice, Networks
from tests.golden import NET_BOUND, difference

#: Constructor arguments of the reference that both micro nets share (``tests.golden.UNET_MICRO`` in our words).
MICRO = {
    'in_dim': 4,
    'out_dim': 4,
    'dim': 32,
    'context_dim': 1024,
    'dim_mult': [2, 2, 4],
    'num_heads': 4,
    'head_dim': 16,
    'num_res_blocks': 1,
    'attn_scales': [1.0, 0.5],
    'use_checkpoint': False,
}


def reference_file(place: str):
    """The original's module at ``place``, or skip if what it imports is absent."""
    try:
        return reference_module(place)
    except NotRunError as error:
        if os.environ.get('CI'):
            raise  # CI installs it all, so there a skip would hide a broken installation
        pytest.skip(str(error))


def build(factory):
    """Build on the CPU without moving the global random state that other tests look at."""
    with torch.random.fork_rng():
        return factory().eval()


def build_pair(place: str, name: str, arguments: dict, factory):
    """The reference network ``name`` of the file ``place`` with random weights, and ours with the same."""
    reference = build(lambda: getattr(reference_file(place), name)(**arguments))
    generator = torch.Generator().manual_seed(11)
    for parameter in reference.parameters():  # the reference zeroes some layers; every tensor should count here
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data = torch.randn(parameter.shape, generator=generator) / fan_in**0.5 + (parameter.data == 1)
    return reference, load_weights(build_on_meta(factory), reference.state_dict()).eval()


def at_every_level(unet: SpatioTemporalUNet, *inputs: torch.Tensor) -> Iterator[torch.Tensor]:
    """The outputs of ``unet`` when it is on its device, comes there as a whole, and block by block."""
    yield unet(*inputs)
    device = FakeDevice(Networks(unet))
    for bring in (lambda: on_device(tensors_of([unet]), device), lambda: streamed(unet, device)):
        with bring():
            yield unet(*inputs)
        assert device.peak > 0
        assert device.held() == 0


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within the networks' bound, which is for outputs of about unit size."""
    assert expected.std() > 0.05
    assert difference(found, expected) < NET_BOUND * max(1.0, expected.abs().max().item())
