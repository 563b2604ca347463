"""CLIP's image tower, built with open_clip; the text tower is never built for an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from modelscope_i2v.errors import ConfigurationError, nearest

#: Mean and standard deviation of CLIP's training images (Radford et al. 2021), for RGB in [0, 1].
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_configuration(clip: str | Mapping[str, Any]) -> dict[str, Any]:
    """The open_clip model configuration for an architecture name, or a checked copy of a given one.

    Raises:
        ConfigurationError: if open_clip does not know the name, or if ``embed_dim`` or ``vision_cfg`` is missing.
    """
    if isinstance(clip, str):
        import open_clip  # heavy, so imported where it is used

        # Only names of the list: open_clip would follow others ('hf-hub:...') into the network.
        if clip not in open_clip.list_models():
            raise ConfigurationError(
                f"'clip' names an architecture that open_clip {open_clip.__version__} does not have: {clip!r}."
                f'{nearest(clip, open_clip.list_models())} open_clip.list_models() lists them all.'
            )
        return dict(open_clip.get_model_config(clip))
    missing = [key for key in ('embed_dim', 'vision_cfg') if key not in clip]
    if missing or not isinstance(clip['vision_cfg'], Mapping):
        raise ConfigurationError(
            "'clip' must be an open_clip architecture name or an open_clip model configuration with 'embed_dim', "
            f"'vision_cfg' and 'text_cfg'; missing or malformed: {missing or ['vision_cfg']}."
        )
    return dict(clip)


def clip_image_size(clip: str | Mapping[str, Any]) -> int:
    """Side in pixels of the square images that the tower takes (224 for ViT-H-14)."""
    size = clip_configuration(clip)['vision_cfg'].get('image_size', 224)
    side = size[0] if isinstance(size, (list, tuple)) else size
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise ConfigurationError(f"'clip.vision_cfg.image_size' must be a positive whole number, found {size!r}.")
    return side


class ClipImageEncoder(nn.Module):
    """Image embeddings ``[N, embed_dim]`` from normalised images ``[N, 3, S, S]``: class token, final norm, projection.

    The embedding is not normalised to unit length: the UNet was trained on it as it is.

    Args:
        clip: an open_clip architecture name, or an open_clip model configuration.

    Raises:
        ConfigurationError: if open_clip does not know the name or cannot build the configuration.
    """

    def __init__(self, clip: str | Mapping[str, Any]) -> None:
        super().__init__()
        # The tower alone has no public constructor; both of open_clip's CLIP classes call this one.
        from open_clip.model import _build_vision_tower

        configuration = clip_configuration(clip)
        try:
            self.visual = _build_vision_tower(
                configuration['embed_dim'],
                {**configuration['vision_cfg'], 'timm_model_pretrained': False},  # the weights come from the checkpoint
                quick_gelu=configuration.get('quick_gelu', False),
            )
        except (
            TypeError,
            ValueError,
            AssertionError,
            RuntimeError,
            ArithmeticError,
            LookupError,
            AttributeError,
        ) as error:
            raise ConfigurationError(f"open_clip cannot build 'clip.vision_cfg': {error}") from error
        self.embed_dim = int(configuration['embed_dim'])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.visual(images)
