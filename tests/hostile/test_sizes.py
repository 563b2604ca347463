"""Networks of impossible depth or width are refused before a module is built."""

import json

import pytest

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.parameters import MAX_BLOCKS
from tests.folders import variant
from tests.hostile.limits import bounded

RESNET = {'embed_dim': 64, 'vision_cfg': {'image_size': 64, 'width': 64}}
TOO_LARGE = {
    'unet': {'num_res_blocks': 100_000},
    'unet with many levels': {'channel_mult': [1] * 100_000},
    'unet of many levels and blocks': {'channel_mult': [1] * 20, 'num_res_blocks': 20},
    'unet of great width': {'channel_mult': [1, 100_000]},
    'unet with many heads': {'num_heads': 100_000},
    'autoencoder': {'num_res_blocks': 100_000},
    'autoencoder with many levels': {'channel_mult': [1] * 100_000},
    'autoencoder of great width': {'channel_mult': [100_000]},
    'clip': {**RESNET, 'vision_cfg': {**RESNET['vision_cfg'], 'layers': [100_000] * 4}},
    'clip with one deep stage': {**RESNET, 'vision_cfg': {**RESNET['vision_cfg'], 'layers': [1, 1, 1, 1000]}},
    'clip transformer': {**RESNET, 'vision_cfg': {'layers': 100_000}},
    'clip of a huge picture': {**RESNET, 'vision_cfg': {'image_size': 100_000}},
    'clip of great width': {**RESNET, 'vision_cfg': {'width': 10**9}},
}
TOO_LARGE_2 = {
    'layers': 100_000, 'context_length': 100_000, 'vocab_size': 10**9, 'width': 10**9, 'heads': 10**9,
}  # fmt: skip


@pytest.mark.parametrize('name', TOO_LARGE)
def test_stage_1(stage_1_folder, tmp_path, name):
    section, value = name.split()[0], TOO_LARGE[name]
    if section != 'clip':
        value = {
            **json.loads((stage_1_folder / 'configuration.json').read_text())['model']['model_cfg'][section],
            **value,
        }
    folder = variant(stage_1_folder, tmp_path / 'model', {f'model.model_cfg.{section}': value})
    with bounded(seconds=2, megabytes=100), pytest.raises(ConfigurationError):
        ModelFolder.read(folder).build_networks()


@pytest.mark.parametrize('key', TOO_LARGE_2)
def test_text_tower(stage_2_folder, tmp_path, key):
    folder = variant(stage_2_folder, tmp_path / 'model', {f'model.model_cfg.clip.text_cfg.{key}': TOO_LARGE_2[key]})
    with bounded(seconds=2, megabytes=100), pytest.raises(ConfigurationError):
        ModelFolder.read(folder).build_networks()


def test_the_limit_leaves_room_for_the_real_networks():
    from modelscope_i2v.networks.parameters import AutoencoderParameters, UNetParameters

    unet, autoencoder = UNetParameters(), AutoencoderParameters()
    assert 3 * len(unet.channel_mult) * (2 * unet.num_res_blocks + 1) < MAX_BLOCKS / 10
    assert len(autoencoder.channel_mult) * (2 * autoencoder.num_res_blocks + 1) < MAX_BLOCKS / 10
