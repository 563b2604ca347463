"""Sizes of the networks, as in their configuration file."""

from __future__ import annotations

from typing import Any

#: Reduces by a factor of 8 to 16 channels: pictures of 128x128 become latents of 16x16.
AUTOENCODER: dict[str, Any] = {
    'z_channels': 16,
    'embed_dim': 16,
    'channels': 16,
    'channel_mult': [1, 2, 4, 8],
    'num_res_blocks': 1,
    'norm_num_groups': 2,
}
CLIP: dict[str, Any] = {
    'embed_dim': 64,
    'vision_cfg': {'image_size': 64, 'layers': [1, 1, 1, 1], 'width': 16, 'head_width': 16},
    # Half of a text tower's weights are words, so they are narrow.
    'text_cfg': {
        'context_length': 32, 'vocab_size': 49408, 'width': 64, 'heads': 4, 'layers': 3, 'mlp_ratio': 2.0
    },
}  # fmt: skip
UNET: dict[str, Any] = {
    'in_channels': AUTOENCODER['embed_dim'],
    'out_channels': AUTOENCODER['embed_dim'],
    'model_channels': 48,
    'channel_mult': [1, 2, 2],
    'num_res_blocks': 1,
    'attention_resolutions': [2, 4],
    'num_heads': 2,
    'num_head_channels': 32,
    'norm_num_groups': 8,
    # A square, since the side of the local tokens' grid follows from its root. The width of texts is the same.
    'context_dim': CLIP['text_cfg']['width'],
    'image_embed_dim': CLIP['embed_dim'],
    'num_image_tokens': 4,
}
