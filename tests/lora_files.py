"""A small UNet, and LoRA files with random or given factors, written without peft."""

import torch
from safetensors.torch import save_file

from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.lora import apply
from modelscope_i2v.weights.lora.file import LoraDescription, unet_parameters
from modelscope_i2v.weights.lora.layers import lora_shapes

LAYERS = ('attention', 'temporal')
UNET = {
    'model_channels': 16,
    'channel_mult': [1, 2],
    'num_res_blocks': 1,
    'attention_resolutions': [2],
    'num_heads': 3,
    'num_head_channels': 8,
    'context_dim': 12,
    'norm_num_groups': 4,
}


def small_unet(kind=ImageToVideoUNet):
    """A small UNet with random weights, the same each time."""
    unet = build_on_meta(lambda: kind(**UNET, **({'image_embed_dim': 8} if kind is ImageToVideoUNet else {})))
    generator = torch.Generator().manual_seed(1)
    shapes = {key: tensor.shape for key, tensor in unet.state_dict().items()}
    weights = {
        key: torch.randn(shape, generator=generator) * shape[1:].numel() ** -0.5 for key, shape in shapes.items()
    }
    return load_weights(unet, weights)


def key_of(unet):
    """The LoRA key of the stage that has such a UNet."""
    return 'image-to-video' if isinstance(unet, ImageToVideoUNet) else 'video-to-video'


def apply_lora(unet, path, scale=1.0):
    """Apply a LoRA file of the stage that has such a UNet."""
    return apply.apply_lora(unet, path, scale, key=key_of(unet))


def read_lora(unet, path):
    return apply.read_lora(unet, path, key=key_of(unet))


def description(unet, rank=2, alpha=4.0, layers=LAYERS):
    return LoraDescription(task=key_of(unet), rank=rank, alpha=alpha, layers=layers, unet=unet_parameters(unet))


def factors(unet, rank=2, layers=LAYERS, std=0.3):
    generator = torch.Generator().manual_seed(5)
    shapes = lora_shapes(unet, layers, rank)
    return {key: std * torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def write_lora(unet, path, rank=2, alpha=4.0, layers=LAYERS, *, tensors=None, metadata=None):
    """``metadata`` replaces entries of the header; None removes one."""
    tensors = factors(unet, rank, layers) if tensors is None else tensors
    header = {**description(unet, rank, alpha, layers).to_metadata(), **(metadata or {})}
    save_file(tensors, path, {name: value for name, value in header.items() if value is not None})
    return path
