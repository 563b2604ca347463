"""Sizes of the networks, as in their configuration file."""

from __future__ import annotations

from typing import Any

#: Reduces by a factor of 8 to 8 channels: pictures of 128x128 become latents of 16x16.
AUTOENCODER: dict[str, Any] = {
    'z_channels': 8,
    'embed_dim': 8,
    'channels': 16,
    'channel_mult': [1, 2, 4, 8],
    'num_res_blocks': 1,
    'norm_num_groups': 4,
}
