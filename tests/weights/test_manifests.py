"""The default networks have exactly the tensors of the real checkpoints, after the key map has renamed them."""

from functools import partial

import pytest
import torch

from modelscope_i2v.networks import (
    AutoencoderKL,
    ClipEncoders,
    ClipImageEncoder,
    ClipTextEncoder,
    I2VGenXLUNet,
    ImageToVideoUNet,
    VideoToVideoUNet,
)
from modelscope_i2v.weights import build_on_meta
from modelscope_i2v.weights.key_maps import key_map
from tests.golden import UNET_TINY, manifest

NETWORKS = {
    'unet_i2v': (ImageToVideoUNet, 1_419_843_396),
    'unet_i2vgen': (I2VGenXLUNet, 1_420_469_224),
    'unet_v2v': (VideoToVideoUNet, 1_411_233_860),
    'autoencoder': (AutoencoderKL, 83_653_863),
    'clip_full': (lambda: ClipImageEncoder('ViT-H-14'), 632_076_800),
}


@pytest.mark.parametrize('name', NETWORKS)
def test_keys_and_shapes_are_the_manifests(name):
    factory, parameters = NETWORKS[name]
    network = build_on_meta(factory)
    tensors = manifest(name)
    to_own = key_map(network, tensors)
    mapped = {to_own(key): shape for key, shape in tensors.items() if to_own(key) is not None}
    kept = [key for key in tensors if to_own(key) is not None]
    assert len(mapped) == len(kept), 'two keys of the checkpoint became one'
    assert mapped == {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert sum(tensor.numel() for tensor in network.parameters()) == parameters
    if name == 'clip_full':
        assert all(key.startswith('visual.') for key in kept)
    else:
        assert len(kept) == len(tensors)


def test_own_keys_pass_through_every_map():
    for factory, _ in NETWORKS.values():
        network = build_on_meta(factory)
        keys = list(network.state_dict())
        to_own = key_map(network, keys)
        assert [to_own(key) for key in keys] == keys


def test_building_on_meta_takes_no_memory_and_no_random_numbers():
    state = torch.get_rng_state()
    network = build_on_meta(lambda: ImageToVideoUNet(**UNET_TINY))
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert torch.equal(torch.get_rng_state(), state)


def test_both_towers_take_what_each_takes_alone():
    tensors = manifest('clip_full')
    mapped = {}
    for tower in (ClipImageEncoder, ClipTextEncoder):
        network = build_on_meta(partial(tower, 'ViT-H-14'))
        to_own = key_map(network, tensors)
        mapped |= {key: to_own(key) for key in tensors if to_own(key) is not None}
    both = build_on_meta(lambda: ClipEncoders('ViT-H-14'))
    to_own = key_map(both, tensors)
    kept = {key: to_own(key) for key in tensors if to_own(key) is not None}
    assert kept == {key: f'{"image" if key.startswith("visual.") else "text"}.{name}' for key, name in mapped.items()}
    assert {to_own(key): tensors[key] for key in kept} == {
        key: list(tensor.shape) for key, tensor in both.state_dict().items()
    }


def test_the_text_tower_takes_all_of_its_part_of_a_clip_file():
    network = build_on_meta(lambda: ClipTextEncoder('ViT-H-14'))
    tensors = manifest('clip_full')
    to_own = key_map(network, tensors)
    mapped = {to_own(key): shape for key, shape in tensors.items() if to_own(key) is not None}
    assert mapped == {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    left = {key for key in tensors if to_own(key) is None and not key.startswith('visual.')}
    assert left - {'text_projection', 'logit_scale'} == {
        key for key in tensors if '.resblocks.23.' in key and key[0] == 't'
    }
