"""The networks of the second generation, by the key of configuration.json that names their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.networks import autoencoder
from modelscope_i2v.networks import ClipEncoders, I2VGenXLUNet

if TYPE_CHECKING:
    from modelscope_i2v.i2vgen_xl.configuration import I2VGenXLConfiguration


def both_towers(configuration: I2VGenXLConfiguration) -> ClipEncoders:
    """CLIP's image tower and its text tower."""
    return ClipEncoders(configuration.clip)


def unet(configuration: I2VGenXLConfiguration) -> I2VGenXLUNet:
    """The UNet, conditioned on text features, an image embedding and the latents of a picture."""
    return I2VGenXLUNet(**asdict(configuration.unet))


NETWORKS = {'ckpt_clip': both_towers, 'ckpt_unet': unet, 'ckpt_autoencoder': autoencoder}


def check_networks(networks: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless CLIP works, and its embeddings and text features fit the UNet."""
    clip, network = networks['ckpt_clip'], networks['ckpt_unet']
    clip.check_forward()
    if clip.image.embed_dim != network.image_embed_dim:
        raise ConfigurationError(
            f"'unet.image_embed_dim' is {network.image_embed_dim}, but 'clip' gives embeddings of size "
            f'{clip.image.embed_dim}. Make them equal.'
        )
    if clip.text.width != network.config.context_dim:
        raise ConfigurationError(
            f"'unet.context_dim' is {network.config.context_dim}, but 'clip' gives text features of size "
            f'{clip.text.width}. Make them equal.'
        )
