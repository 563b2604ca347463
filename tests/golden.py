"""The golden files in ``tests/data``: configurations in this package's terms, weights from the recipe."""

import functools
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from modelscope_i2v.networks import (
    AutoencoderKL,
    ClipImageEncoder,
    ClipTextEncoder,
    I2VGenXLUNet,
    ImageToVideoUNet,
    VideoToVideoUNet,
)
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.synthetic import synthetic_state_dict

DATA = Path(__file__).parent / 'data'

#: Bounds for the maximal absolute difference from the original implementation, in float32.
NET_BOUND = 2e-5
SAMPLER_BOUND = 2e-4

UNET_TINY = {
    'model_channels': 64,
    'channel_mult': [1, 2, 4, 4],
    'num_res_blocks': 2,
    'attention_resolutions': [1, 2, 4],
    'num_heads': 8,
    'num_head_channels': 16,
    'image_embed_dim': 64,
}
UNET_MICRO = {
    'model_channels': 32,
    'channel_mult': [2, 2, 4],
    'num_res_blocks': 1,
    'attention_resolutions': [1, 2],
    'num_heads': 4,
    'num_head_channels': 16,
    'image_embed_dim': 64,
}
AUTOENCODER_TINY = {'channels': 64, 'channel_mult': [1, 2, 4, 4], 'num_res_blocks': 2}
AUTOENCODER_MICRO = {'channels': 32, 'channel_mult': [1, 1, 2, 2], 'num_res_blocks': 1}
CLIP_TINY_1024 = {
    'embed_dim': 64,
    'vision_cfg': {'image_size': 224, 'layers': 3, 'width': 64, 'head_width': 16, 'patch_size': 32},
    'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 1024, 'heads': 16, 'layers': 2},
}
CLIP_TINY = {
    'embed_dim': 64,
    'vision_cfg': {'image_size': 224, 'layers': 3, 'width': 64, 'head_width': 16, 'patch_size': 32},
    'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 64, 'heads': 4, 'layers': 3},
}


@functools.cache
def golden(name: str) -> dict[str, torch.Tensor]:
    return load_file(DATA / f'golden_{name}.safetensors')


@functools.cache
def manifest(name: str) -> dict[str, list[int]]:
    """Key and shape of every tensor of a checkpoint, in the checkpoint's names."""
    return json.loads((DATA / 'manifests.json').read_text())[name]


def checkpoint_like(network: torch.nn.Module, name: str) -> dict[str, torch.Tensor]:
    """Recipe weights under the checkpoint's names for a ``network`` with the topology of manifest ``name``."""
    from modelscope_i2v.weights.key_maps import key_map

    keys = list(manifest(name))
    to_own = key_map(network, keys)
    own = network.state_dict()
    return synthetic_state_dict({key: own[to_own(key)].shape for key in keys})


def with_recipe_weights(factory, name: str) -> torch.nn.Module:
    network = build_on_meta(factory)
    return load_weights(network, checkpoint_like(network, name)).eval()


def unet_tiny() -> ImageToVideoUNet:
    return with_recipe_weights(lambda: ImageToVideoUNet(**UNET_TINY), 'unet_i2v')


def unet_micro() -> ImageToVideoUNet:
    return with_recipe_weights(lambda: ImageToVideoUNet(**UNET_MICRO), 'unet_i2v_micro')


def unet_i2vgen_tiny() -> I2VGenXLUNet:
    return with_recipe_weights(lambda: I2VGenXLUNet(**UNET_TINY), 'unet_i2vgen')


def unet_i2vgen_micro() -> I2VGenXLUNet:
    return with_recipe_weights(lambda: I2VGenXLUNet(**UNET_MICRO), 'unet_i2vgen_micro')


def _without_image(unet: dict) -> dict:
    return {key: value for key, value in unet.items() if key != 'image_embed_dim'}


UNET_V2V_TINY, UNET_V2V_MICRO = _without_image(UNET_TINY), _without_image(UNET_MICRO)


def unet_v2v_tiny() -> VideoToVideoUNet:
    return with_recipe_weights(lambda: VideoToVideoUNet(**UNET_V2V_TINY), 'unet_v2v')


def unet_v2v_micro() -> VideoToVideoUNet:
    return with_recipe_weights(lambda: VideoToVideoUNet(**UNET_V2V_MICRO), 'unet_v2v_micro')


def autoencoder_tiny() -> AutoencoderKL:
    return with_recipe_weights(lambda: AutoencoderKL(**AUTOENCODER_TINY), 'autoencoder')


def clip_tiny() -> ClipImageEncoder:
    network = build_on_meta(lambda: ClipImageEncoder(CLIP_TINY))
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    return load_weights(network, synthetic_state_dict(shapes)).eval()


def clip_text(configuration: dict) -> ClipTextEncoder:
    network = build_on_meta(lambda: ClipTextEncoder(configuration))
    shapes = {key.removeprefix('text.'): tensor.shape for key, tensor in network.state_dict().items()}
    return load_weights(network, synthetic_state_dict(shapes)).eval()


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Maximal absolute difference; infinite for different shapes or for NaN."""
    if found.shape != expected.shape:
        return float('inf')
    largest = (found.double() - expected.double()).abs().max().item()
    return largest if largest == largest else float('inf')
