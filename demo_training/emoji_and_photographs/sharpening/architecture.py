"""Sizes of stage 2's networks, as in their configuration file."""

from __future__ import annotations

from typing import Any

from demo_training.emoji_and_photographs.architecture import CLIP

#: Reduces by a factor of 2 only. A linear decoder that doubles sizes twice, by nearest neighbours and a convolution,
#: loses more of photographs than bicubic enlargement does: 36.7 dB against 39.7 dB. One that does it once reaches
#: 42.5 dB. On so fine a grid, attention would take minutes.
AUTOENCODER: dict[str, Any] = {
    'z_channels': 12,
    'embed_dim': 12,
    'channels': 16,
    'channel_mult': [1, 2],
    'num_res_blocks': 1,
    'norm_num_groups': 2,
    'attention': False,
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
