"""CLIP's two towers, built separately with open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from modelscope_i2v.checks import integer
from modelscope_i2v.errors import ConfigurationError, nearest

#: Mean and standard deviation of CLIP's training images (Radford et al. 2021), for RGB in [0, 1].
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_configuration(clip: str | Mapping[str, Any]) -> dict[str, Any]:
    """The open_clip model configuration of an architecture name, or a checked copy of a given configuration.

    Raises:
        ConfigurationError: if open_clip does not know the name, or if ``embed_dim`` or ``vision_cfg`` is missing or
            wrong.
    """
    if isinstance(clip, str):
        import open_clip  # heavy, so imported where it is used

        # Only listed names: for others ('hf-hub:...'), open_clip would access the network.
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
    integer('clip.embed_dim', clip['embed_dim'])
    for key in ('image_size', 'layers', 'width', 'head_width', 'patch_size'):
        size = clip['vision_cfg'].get(key)
        if size is not None and not isinstance(size, (list, tuple)):  # pairs of sides, or a ResNet's blocks per stage
            integer(f'clip.vision_cfg.{key}', size, 1, 1000 if key == 'layers' else None)
    return dict(clip)


def clip_image_size(clip: str | Mapping[str, Any]) -> int:
    """The side in pixels of the square images that the tower takes (224 for ViT-H-14)."""
    size = clip_configuration(clip)['vision_cfg'].get('image_size', 224)
    side = size[0] if isinstance(size, (list, tuple)) else size
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise ConfigurationError(f"'clip.vision_cfg.image_size' must be a positive whole number, found {size!r}.")
    return side


class ClipImageEncoder(nn.Module):
    """Image embeddings ``[N, embed_dim]`` from normalised images ``[N, 3, S, S]``: class token, final norm, projection.

    The embedding is not normalised to unit length: the UNet was trained on the raw one.

    Args:
        clip: an open_clip architecture name, or an open_clip model configuration.

    Raises:
        ConfigurationError: if open_clip does not know the name or cannot build the configuration.
    """

    def __init__(self, clip: str | Mapping[str, Any]) -> None:
        super().__init__()
        configuration = clip_configuration(clip)
        # The weights come from the checkpoint, never from a download.
        vision = {**configuration['vision_cfg'], 'timm_model_pretrained': False}
        self.visual = _build_tower('vision', configuration, vision)
        self.embed_dim = int(configuration['embed_dim'])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.visual(images)
        return out


class ClipTextEncoder(nn.Module):
    """Text features ``[N, L, width]`` of tokens ``[N, L]``: all blocks but the last, then the final norm; no pooling.

    The last block and the projection are not used ("penultimate layer"), so they are not built. Takes the same ``clip``
    as :class:`ClipImageEncoder` and raises the same errors.
    """

    def __init__(self, clip: str | Mapping[str, Any]) -> None:
        super().__init__()
        configuration = clip_configuration(clip)
        given = configuration.get('text_cfg')
        layers = given.get('layers', 12) if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(layers, int) or layers < 2 or given.get('hf_model_name'):
            raise ConfigurationError(
                "'clip.text_cfg' must describe open_clip's own text transformer, of at least 2 layers, found "
                f'{given!r}. The models were trained with ViT-H-14.'
            )
        self.layers = layers - 1
        self.text: Any = _build_tower('text', configuration, {**given, 'layers': layers - 1, 'proj_type': 'none'})
        self.context_length, self.width = map(int, self.text.positional_embedding.shape)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.text.token_embedding(tokens) + self.text.positional_embedding
        out: torch.Tensor = self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask))
        return out


class ClipEncoders(nn.Module):
    """Both towers of one CLIP: :attr:`image` and :attr:`text`.

    Takes the same ``clip`` as :class:`ClipImageEncoder` and raises the same errors.
    """

    def __init__(self, clip: str | Mapping[str, Any]) -> None:
        super().__init__()
        self.image = ClipImageEncoder(clip)
        self.text = ClipTextEncoder(clip)


def _build_tower(kind: str, configuration: Mapping[str, Any], tower: Mapping[str, Any]) -> Any:
    """Build one tower alone: there is no public constructor, but both of open_clip's CLIP classes call these."""
    from open_clip import model

    build = {'vision': model._build_vision_tower, 'text': model._build_text_tower}[kind]
    impossible = (TypeError, ValueError, AssertionError, RuntimeError, ArithmeticError, LookupError, AttributeError)
    try:
        return build(configuration['embed_dim'], dict(tower), quick_gelu=configuration.get('quick_gelu', False))
    except impossible as error:
        raise ConfigurationError(f"open_clip cannot build 'clip.{kind}_cfg': {error}") from error
