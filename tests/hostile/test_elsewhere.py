"""A CLIP configuration may name only what is built here: nothing from the network or from other folders."""

import socket

import pytest

import modelscope_i2v
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.networks.clip import ClipImageEncoder, ClipTextEncoder
from modelscope_i2v.weights import build_on_meta
from tests.folders import variant

ELSEWHERE = [
    'hf-hub:timm/resnet18.a1_in1k', 'hf_hub:timm/resnet18', 'HF-HUB:timm/resnet18', 'local-dir:/tmp', 'timm/resnet18',
    '../resnet18', 'no_such_architecture', 5, ['resnet18'], {'a': 1}, 'http://127.0.0.1:1/', 'x' * 10**6,
]  # fmt: skip


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError('it tried to reach the network')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)


@pytest.mark.usefixtures('no_network')
@pytest.mark.parametrize('name', ELSEWHERE, ids=lambda name: repr(name)[:20])
def test_vision_towers(stage_1_folder, tmp_path, name):
    clip = {'embed_dim': 16, 'vision_cfg': {'timm_model_name': name, 'image_size': 32}}
    with pytest.raises(ConfigurationError, match="'clip.vision_cfg.timm_model_name' must be one of timm's own"):
        ClipImageEncoder(clip)
    folder = variant(stage_1_folder, tmp_path / 'model', {'model.model_cfg.clip': clip})
    with pytest.raises(ConfigurationError, match='timm_model_name'):
        modelscope_i2v.load(folder, device='cpu', offline=True)


@pytest.mark.usefixtures('no_network')
def test_an_architecture_of_timm_is_built_without_network():
    clip = {'embed_dim': 16, 'vision_cfg': {'timm_model_name': 'resnet18', 'timm_model_pretrained': True}}
    assert build_on_meta(lambda: ClipImageEncoder(clip)).embed_dim == 16


@pytest.mark.usefixtures('no_network')
@pytest.mark.parametrize('text', [{'hf_model_name': 'roberta-base'}, {'hf_model_name': 'roberta-base', 'layers': 3}])
def test_text_towers(text):
    with pytest.raises(ConfigurationError, match='text_cfg'):
        ClipTextEncoder({'embed_dim': 16, 'vision_cfg': {}, 'text_cfg': text})
    for name in ('roberta-ViT-B-32', 'hf-hub:laion/CLIP-ViT-B-32', 'local-dir:/tmp'):
        with pytest.raises(ConfigurationError):
            ClipTextEncoder(name)


ODD = {
    'image_size': [],
    'image_size of a pair': [0, 32],
    'image_size of two': [32, 64],
    'layers': [],
    'layers as text': ['a', 1, 1, 1],
    'layers nested': [[1], [1], [1], [1]],
    'width': '64',
    'head_width': 1000,
    'patch_size': [],
    'patch_size of more': 64,
    'mlp_ratio': 'big',
    'act_kwargs': 5,
    'norm_kwargs': {'eps': 'x'},
    'pool_type': 5,
    'attentional_pool': 'odd',
}


@pytest.mark.parametrize('key', ODD)
def test_odd_values(key):
    clip = {'embed_dim': 16, 'vision_cfg': {'width': 64, 'layers': 1, 'image_size': 32, key.split()[0]: ODD[key]}}
    with pytest.raises(ConfigurationError):
        build_on_meta(lambda: ClipImageEncoder(clip)).check_forward()
