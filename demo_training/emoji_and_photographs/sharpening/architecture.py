"""Sizes of stage 2's networks, as in their configuration file."""

from __future__ import annotations

from typing import Any

from demo_training.emoji_and_photographs.architecture import CLIP

#: Reduces by a factor of 4 to 32 channels. With 4 channels, reconstructions of photographs would be worse than what
#: bicubic enlargement makes of their halves.
AUTOENCODER: dict[str, Any] = {
    'z_channels': 32,
    'embed_dim': 32,
    'channels': 16,
    'channel_mult': [1, 2, 4],
    'num_res_blocks': 1,
    'norm_num_groups': 2,
}
UNET: dict[str, Any] = {
    'in_channels': AUTOENCODER['embed_dim'],
    'out_channels': AUTOENCODER['embed_dim'],
    'model_channels': 32,
    'channel_mult': [1, 2],
    'num_res_blocks': 1,
    'attention_resolutions': [2],
    'num_heads': 2,
    'num_head_channels': 16,
    'norm_num_groups': 8,
    'context_dim': CLIP['text_cfg']['width'],
}
