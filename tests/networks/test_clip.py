import pytest
import torch

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.networks.clip import ClipImageEncoder, ClipTextEncoder, clip_image_size
from modelscope_i2v.weights import build_on_meta
from tests.golden import CLIP_TINY, CLIP_TINY_1024, NET_BOUND, clip_text, clip_tiny, difference, golden


@torch.no_grad()
def test_image_embedding_equals_reference():
    data = golden('clip')
    assert difference(clip_tiny()(data['tiny.image']), data['tiny.image_embedding']) < NET_BOUND


def test_only_the_image_tower_is_built():
    assert {key.split('.')[0] for key in ClipImageEncoder(CLIP_TINY).state_dict()} == {'visual'}


def test_image_size_comes_from_the_architecture():
    assert clip_image_size('ViT-H-14') == 224
    assert clip_image_size('ViT-L-14-336') == 336
    assert clip_image_size(CLIP_TINY) == 224


@pytest.mark.parametrize(
    ('clip', 'message'),
    [
        ('ViT-H14', "Did you mean 'ViT-H-14'"),
        ({'embed_dim': 64}, 'vision_cfg'),
        ({'embed_dim': 64, 'vision_cfg': {'image_size': 'big'}}, 'image_size'),
        ({'embed_dim': 64, 'vision_cfg': {'layrs': 3}}, 'layrs'),
    ],
)
def test_bad_architecture_is_a_configuration_error(clip, message):
    with pytest.raises(ConfigurationError, match=message):
        clip_image_size(clip)
        ClipImageEncoder(clip)


@pytest.mark.parametrize(('name', 'configuration', 'count'), [('tiny', CLIP_TINY, 6), ('tiny1024', CLIP_TINY_1024, 4)])
@torch.no_grad()
def test_text_features_equal_reference(name, configuration, count):
    data = golden('clip')
    assert difference(clip_text(configuration)(data['tokens'][:count]), data[f'{name}.text']) < NET_BOUND


def test_only_the_used_part_of_the_text_tower_is_built():
    network = build_on_meta(lambda: ClipTextEncoder('ViT-H-14'))
    assert sum(parameter.numel() for parameter in network.parameters()) == 340_387_840
    assert {key.split('.')[0] for key in network.state_dict()} == {'text'}


@pytest.mark.parametrize('text', [None, {'layers': 1}, {'layers': 'many'}, {'hf_model_name': 'x', 'layers': 3}])
def test_bad_text_towers_are_configuration_errors(text):
    with pytest.raises(ConfigurationError, match='text_cfg'):
        ClipTextEncoder({**CLIP_TINY, 'text_cfg': text})
