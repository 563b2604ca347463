"""The networks of stage 1, by the key of configuration.json that names their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.networks import autoencoder
from modelscope_i2v.networks import ClipImageEncoder, ImageToVideoUNet

if TYPE_CHECKING:
    from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration


def image_tower(configuration: ImageToVideoConfiguration) -> ClipImageEncoder:
    """CLIP's image tower."""
    return ClipImageEncoder(configuration.clip)


def unet(configuration: ImageToVideoConfiguration) -> ImageToVideoUNet:
    """The UNet, conditioned on an image embedding."""
    return ImageToVideoUNet(**asdict(configuration.unet))


NETWORKS = {'ckpt_clip': image_tower, 'ckpt_unet': unet, 'ckpt_autoencoder': autoencoder}


def check_networks(networks: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless CLIP works, and its embeddings fit the UNet."""
    networks['ckpt_clip'].check_forward()
    embedding, wanted = networks['ckpt_clip'].embed_dim, networks['ckpt_unet'].image_embed_dim
    if embedding != wanted:
        raise ConfigurationError(
            f"'unet.image_embed_dim' is {wanted}, but 'clip' gives embeddings of size {embedding}. Make them equal."
        )
