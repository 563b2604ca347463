"""Sizes of networks and videos: small ones for whole loops, the published ones for single calls, and one between them.

The published ones need more memory and time than most CPUs have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Frames, height and width of latents.
Shape = tuple[int, int, int]
UNET = {'channel_mult': [1, 2, 4, 4], 'num_res_blocks': 2, 'attention_resolutions': [1, 2, 4], 'num_heads': 8}


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is measured.

    Attributes:
        unet: arguments of all UNets; those that take a picture also get ``image_embed_dim``.
        image_embed_dim: length of CLIP's embedding of a picture.
        shapes: of the latents, by stage.
        autoencoder: arguments of the autoencoder.
        pixels: height and width of its image.
        rounds: how often calls are repeated.
        loops: whether whole loops are measured.
        loading: which set of files is loaded: none, ``'reduced'`` or ``'full'``.
    """

    unet: Mapping[str, Any]
    image_embed_dim: int
    shapes: Mapping[str, Shape]
    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    pixels: tuple[int, int]
    rounds: int = 3
    loops: bool = True
    loading: str = ''


SIZES = {
    'tiny': Size(
        unet={
            'model_channels': 32,
            'channel_mult': [1, 2],
            'num_res_blocks': 1,
            'attention_resolutions': [1],
            'num_heads': 2,
            'num_head_channels': 16,
        },
        image_embed_dim=64,
        shapes={'image-to-video': (2, 8, 8), 'i2vgen-xl': (2, 8, 8), 'video-to-video': (2, 8, 8)},
        autoencoder={'channels': 32, 'channel_mult': [1, 1, 1, 1], 'num_res_blocks': 1},
        pixels=(32, 32),
        rounds=1,
    ),
    'small': Size(
        unet={**UNET, 'model_channels': 64, 'num_head_channels': 16},
        image_embed_dim=64,
        shapes={'image-to-video': (4, 16, 16), 'i2vgen-xl': (4, 16, 16), 'video-to-video': (4, 18, 16)},
        autoencoder={'channels': 64, 'channel_mult': [1, 2, 4, 4], 'num_res_blocks': 2},
        pixels=(128, 128),
        loading='reduced',
    ),
    'medium': Size(
        unet={**UNET, 'model_channels': 128, 'num_head_channels': 64},
        image_embed_dim=1024,
        shapes={'image-to-video': (8, 32, 56), 'video-to-video': (8, 34, 56)},
        autoencoder={'channels': 64, 'channel_mult': [1, 2, 4, 4], 'num_res_blocks': 2},
        pixels=(256, 448),
        rounds=2,
        loops=False,
    ),
    'full': Size(
        unet={**UNET, 'model_channels': 320, 'num_head_channels': 64},
        image_embed_dim=1024,
        shapes={'image-to-video': (32, 32, 56), 'i2vgen-xl': (16, 88, 160), 'video-to-video': (32, 90, 160)},
        autoencoder={'channels': 128, 'channel_mult': [1, 2, 4, 4], 'num_res_blocks': 2},
        pixels=(720, 1280),
        loops=False,
        loading='full',
    ),
}
