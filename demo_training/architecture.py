"""Sizes of the small networks of the first generation, as in their configuration files."""

from __future__ import annotations

from typing import Any

#: Reduces by a factor of 4 instead of the original's 8, so that outlines of small sprites survive.
AUTOENCODER: dict[str, Any] = {
    'channels': 16,
    'channel_mult': [1, 2, 4],
    'num_res_blocks': 1,
    'norm_num_groups': 2,
}
CLIP: dict[str, Any] = {
    'embed_dim': 384,
    # A small ResNet: from a few hundred thousand pictures it learns shapes that a transformer does not.
    'vision_cfg': {'image_size': 64, 'layers': [1, 2, 2, 1], 'width': 16, 'head_width': 16},
    'text_cfg': {
        'context_length': 77, 'vocab_size': 49408, 'width': 32, 'heads': 2, 'layers': 3, 'mlp_ratio': 2.0
    },
}  # fmt: skip
UNET: dict[str, Any] = {
    'model_channels': 48,
    'channel_mult': [1, 1, 2],
    'num_res_blocks': 1,
    'attention_resolutions': [2, 4],
    'num_heads': 2,
    'num_head_channels': 16,
    'norm_num_groups': 8,
}
IMAGE_TO_VIDEO_UNET: dict[str, Any] = {
    **UNET,
    'context_dim': 64,
    'image_embed_dim': CLIP['embed_dim'],
    'num_image_tokens': 16,
}
VIDEO_TO_VIDEO_UNET: dict[str, Any] = {
    **UNET,
    'model_channels': 32,
    'channel_mult': [1, 2],
    'attention_resolutions': [2],
    'context_dim': CLIP['text_cfg']['width'],
}
