"""Networks are on the device while they compute, and in main memory otherwise; the videos are the same."""

import dataclasses

import pytest
import torch

from modelscope_i2v.runtime.memory_level import OFFLOAD
from tests.calls import CLIP, VIDEO, build
from tests.fake_device import FakeDevice
from tests.folders import IMAGE

FAST = {'steps': 2, 'num_frames': 2, 'seed': 1, 'height': 32, 'width': 32}
#: Phases, and the network that computes in each.
STAGES = {
    'stage_1_folder': (IMAGE, {'image_strength': 0.7}, ('autoencoder', 'clip', 'unet', 'autoencoder')),
    'i2vgen_folder': (IMAGE, {}, ('autoencoder', 'clip', 'unet', 'autoencoder')),
    'stage_2_folder': (CLIP, {}, ('autoencoder', 'clip', 'unet', 'autoencoder')),
}


def at(pipeline, level):
    pipeline.model.execution = dataclasses.replace(pipeline.model.execution, level=level)
    return pipeline


def phases(pipeline, device):
    """What computes, with the networks that are on the device then: filled by the calls that follow."""
    found = []
    model = pipeline.model
    parts = [
        ('autoencoder', model.autoencoder.encoder.conv_in),
        ('autoencoder', model.autoencoder.decoder.conv_in),
        ('unet', model.unet.conv_in),
        ('unet', model.unet.conv_out),
        *(('clip', part) for part in model.clip.modules() if isinstance(part, torch.nn.LayerNorm)),
    ]

    def record(name, module):
        assert device.has(module)
        if not found or found[-1] != (name, device.networks()):
            found.append((name, device.networks()))

    for name, part in parts:
        part.register_forward_pre_hook(lambda module, _, name=name: record(name, module))
    return found


@pytest.mark.parametrize('folder', STAGES)
def test_each_network_is_on_the_device_while_it_computes(folder, request):
    source, options, expected = STAGES[folder]
    task = 'video-to-video' if folder == 'stage_2_folder' else 'image-to-video'
    source = source if task == 'video-to-video' else str(source)
    whole, offloaded = (build(request.getfixturevalue(folder), task, **FAST, **options) for _ in range(2))
    device = FakeDevice(at(offloaded, OFFLOAD).model)
    found = phases(offloaded, device)
    videos = [each(source, output_type='np')[VIDEO] for each in (whole, offloaded)]
    assert (videos[0] == videos[1]).all()
    assert found == [(name, {name}) for name in expected]
    assert device.networks() == set()
    sizes = [sum(part.nbytes for part in network.state_dict().values()) for network in parts(offloaded)]
    assert device.peak == max(sizes)


def parts(pipeline):
    return [pipeline.model.clip, pipeline.model.unet, pipeline.model.autoencoder]


def test_a_phase_that_is_repeated_in_float32_is_offloaded_too(stage_1_folder):
    """The decoder's first layer overflows in half precision."""
    options = {**FAST, 'autoencoder_dtype': 'fp16'}
    whole, offloaded = (build(stage_1_folder, **options) for _ in range(2))
    device = FakeDevice(at(offloaded, OFFLOAD).model)
    for pipeline in (whole, offloaded):
        pipeline.model.autoencoder.decoder.conv_in.bias.data.fill_(6e4)
    results = [each(str(IMAGE), output_type='np') for each in (whole, offloaded)]
    assert (results[0][VIDEO] == results[1][VIDEO]).all()
    assert results[1]['repeated_in_float32'] == ['decoding']
    assert device.networks() == set()
    assert offloaded.model.autoencoder.dtype == torch.float16


def test_what_is_interrupted_leaves_the_device(stage_1_folder):
    pipeline = build(stage_1_folder, **FAST)
    device = FakeDevice(at(pipeline, OFFLOAD).model)

    def stop(*_):
        assert device.networks() == {'unet'}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline(str(IMAGE), callback_on_step_end=stop)
    assert device.networks() == set()
    next(pipeline.model.decode(torch.zeros(1, 4, 9, 4, 4)))  # a generator that nobody finishes
    assert device.networks() == set()
