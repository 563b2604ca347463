import pytest
import torch

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.networks.clip import ClipImageEncoder, clip_image_size
from tests.golden import CLIP_TINY, NET_BOUND, clip_tiny, difference, golden


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
