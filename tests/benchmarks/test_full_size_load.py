"""The reduced set of files: smaller networks of the same layout."""

import json

import pytest
import torch

from benchmarks.full_size_load import (
    MANIFESTS,
    REDUCED_CHANNELS,
    REDUCED_SHARE,
    random_weights,
    reduced_clip,
    reduced_clip_configuration,
    reduced_unet,
    report,
)
from benchmarks.run.loading import FOUND
from modelscope_i2v.networks import ImageToVideoUNet


def values(shapes):
    return sum(torch.Size(shape).numel() for shape in shapes.values())


@pytest.fixture(scope='module')
def manifests():
    return json.loads(MANIFESTS.read_text())


def test_the_unet_is_one_of_fewer_channels(manifests):
    shapes = reduced_unet(manifests['unet_i2v'])
    with torch.device('meta'):
        unet = ImageToVideoUNet(model_channels=REDUCED_CHANNELS)
    assert values(shapes) == sum(weight.numel() for weight in unet.parameters())
    assert values(shapes) / values(manifests['unet_i2v']) == pytest.approx(REDUCED_SHARE, abs=0.02)


def test_clip_has_fewer_layers(manifests):
    pytest.importorskip('open_clip')
    shapes, configuration = reduced_clip(manifests['clip_full']), reduced_clip_configuration()
    for tower, place in (('vision_cfg', 'visual.transformer'), ('text_cfg', 'transformer')):
        layers = {key.split('resblocks.')[1].split('.')[0] for key in shapes if key.startswith(f'{place}.resblocks.')}
        assert len(layers) == configuration[tower]['layers']
    assert values(shapes) / values(manifests['clip_full']) == pytest.approx(REDUCED_SHARE, abs=0.03)


def test_what_is_said_is_what_the_benchmark_reads():
    assert FOUND.search(report((0.0, 0.0), random_weights({'a.weight': [3, 700]}, '', torch.float16).values()))
