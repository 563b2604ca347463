"""The networks of stage 2, by the key of configuration.json that names their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.networks import autoencoder
from modelscope_i2v.networks import ClipTextEncoder, VideoToVideoUNet

if TYPE_CHECKING:
    from modelscope_i2v.video_to_video.configuration import VideoToVideoConfiguration


def text_tower(configuration: VideoToVideoConfiguration) -> ClipTextEncoder:
    """CLIP's text tower."""
    return ClipTextEncoder(configuration.clip)


def unet(configuration: VideoToVideoConfiguration) -> VideoToVideoUNet:
    """The UNet, conditioned on text features."""
    return VideoToVideoUNet(**asdict(configuration.unet))


NETWORKS = {'ckpt_clip': text_tower, 'ckpt_unet': unet, 'ckpt_autoencoder': autoencoder}


def check_networks(networks: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless CLIP works, and its text features fit the UNet."""
    networks['ckpt_clip'].check_forward()
    width, wanted = networks['ckpt_clip'].width, networks['ckpt_unet'].config.context_dim
    if width != wanted:
        raise ConfigurationError(
            f"'unet.context_dim' is {wanted}, but 'clip' gives text features of size {width}. Make them equal."
        )
