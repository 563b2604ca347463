"""The networks of a stage, by the key of configuration.json that names their weights."""

from __future__ import annotations

from dataclasses import asdict

from torch import nn

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.configuration import ImageToVideoConfiguration, StageConfiguration
from modelscope_i2v.networks import (
    AutoencoderKL,
    ClipImageEncoder,
    ClipTextEncoder,
    ImageToVideoUNet,
    VideoToVideoUNet,
)
from modelscope_i2v.weights import build_on_meta


def build_networks(configuration: StageConfiguration) -> dict[str, nn.Module]:
    """``ckpt_clip``, ``ckpt_unet`` and ``ckpt_autoencoder``: the tower that the stage uses and the rest, on meta.

    Raises:
        ConfigurationError: if they do not fit each other.
    """
    first = isinstance(configuration, ImageToVideoConfiguration)
    clip, unet = (_image_to_video if first else _video_to_video)(configuration)
    autoencoder = build_on_meta(lambda: AutoencoderKL(**asdict(configuration.autoencoder)))
    return {'ckpt_clip': clip, 'ckpt_unet': unet, 'ckpt_autoencoder': autoencoder}


def _image_to_video(configuration: StageConfiguration) -> tuple[nn.Module, nn.Module]:
    clip, unet = build_on_meta(lambda: ClipImageEncoder(configuration.clip)), asdict(configuration.unet)
    if clip.embed_dim != unet['image_embed_dim']:
        raise ConfigurationError(
            f"'unet.image_embed_dim' is {unet['image_embed_dim']}, but 'clip' gives embeddings of {clip.embed_dim}. "
            'Make them equal.'
        )
    return clip, build_on_meta(lambda: ImageToVideoUNet(**unet))


def _video_to_video(configuration: StageConfiguration) -> tuple[nn.Module, nn.Module]:
    clip, unet = build_on_meta(lambda: ClipTextEncoder(configuration.clip)), asdict(configuration.unet)
    if clip.width != unet['context_dim']:
        raise ConfigurationError(
            f"'unet.context_dim' is {unet['context_dim']}, but 'clip' gives text features of {clip.width}. Make them "
            'equal.'
        )
    return clip, build_on_meta(lambda: VideoToVideoUNet(**unet))
