"""CLIP's two towers, built separately with open_clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from modelscope_i2v.checks import integer, integers
from modelscope_i2v.errors import ConfigurationError, nearest, shown
from modelscope_i2v.networks.parameters import MAX_BLOCKS, MAX_WIDTH, check_blocks

#: Mean and standard deviation of CLIP's training images (Radford et al. 2021), for RGB in [0, 1].
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
#: Sizes beyond those of any CLIP: the side of an image in pixels, tokens of a text, words.
MAX_IMAGE_SIZE, MAX_CONTEXT, MAX_VOCABULARY = 4096, 4096, 10_000_000
#: What open_clip and torch raise for values that make no sense.
_IMPOSSIBLE = (
    TypeError,
    ValueError,
    AssertionError,
    RuntimeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    OSError,
)
_WIDTHS = ('width', 'head_width', 'patch_size', 'attn_pooler_queries', 'attn_pooler_heads')


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
                f"'clip' names an architecture that open_clip {open_clip.__version__} does not have: {shown(clip)}."
                f'{nearest(clip, open_clip.list_models())} open_clip.list_models() lists them all.'
            )
        return dict(open_clip.get_model_config(clip))
    missing = [key for key in ('embed_dim', 'vision_cfg') if key not in clip]
    if missing or not isinstance(clip['vision_cfg'], Mapping):
        raise ConfigurationError(
            "'clip' must be an open_clip architecture name or an open_clip model configuration with 'embed_dim', "
            f"'vision_cfg' and 'text_cfg'; missing or malformed: {missing or ['vision_cfg']}."
        )
    integer('clip.embed_dim', clip['embed_dim'], sane=MAX_WIDTH)
    _check_vision(clip['vision_cfg'])
    return dict(clip)


def _check_vision(vision: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for sizes that no tower has, and for architectures that are elsewhere."""
    for key in ('image_size', 'layers', *_WIDTHS):
        size, name = vision.get(key), f'clip.vision_cfg.{key}'
        if isinstance(size, (list, tuple)):  # pairs of sides, or a ResNet's blocks per stage
            sizes = integers(name, size, 1, MAX_WIDTH)
            check_blocks(sum(sizes) if key == 'layers' else 0, f"'{name}'")
            size = max(sizes)
        if size is not None and key == 'layers':
            integer(name, size, 1, MAX_BLOCKS)
        elif size is not None:
            integer(name, size, sane=MAX_IMAGE_SIZE if key == 'image_size' else MAX_WIDTH)
    architecture = vision.get('timm_model_name')
    if architecture:
        import timm  # heavy, so imported where it is used

        # Only timm's own architectures: for others ('hf-hub:...', 'local-dir:...'), it would access the network or a
        # folder.
        if not isinstance(architecture, str) or not timm.is_model(architecture):
            raise ConfigurationError(
                f"'clip.vision_cfg.timm_model_name' must be one of timm's own architectures, found "
                f'{shown(architecture)}. timm.list_models() lists them.'
            )


def _check_text(text: Any) -> None:
    """Raise ConfigurationError unless ``text`` describes a text tower that open_clip itself can build."""
    layers = text.get('layers', 12) if isinstance(text, Mapping) else None
    if not isinstance(text, Mapping) or not isinstance(layers, int) or layers < 2 or text.get('hf_model_name'):
        raise ConfigurationError(
            "'clip.text_cfg' must describe open_clip's own text transformer, of at least 2 layers, found "
            f'{shown(text)}. The models were trained with ViT-H-14.'
        )
    check_blocks(layers, "'clip.text_cfg.layers'")
    for key, high in (('context_length', MAX_CONTEXT), ('vocab_size', MAX_VOCABULARY), ('width', MAX_WIDTH)):
        if text.get(key) is not None:
            integer(f'clip.text_cfg.{key}', text[key], 1, high)


def clip_image_size(clip: str | Mapping[str, Any]) -> int:
    """The side in pixels of the square images that the tower takes (224 for ViT-H-14)."""
    size = clip_configuration(clip)['vision_cfg'].get('image_size', 224)
    side = size[0] if isinstance(size, (list, tuple)) and size else size
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise ConfigurationError(f"'clip.vision_cfg.image_size' must be a positive whole number, found {shown(size)}.")
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
        vision = {**configuration['vision_cfg'], 'timm_model_pretrained': False, 'output_tokens': False}
        self.visual = _build_tower('vision', configuration, vision)
        self.embed_dim = int(configuration['embed_dim'])
        self.image_size = clip_image_size(clip)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.visual(images)
        return out

    def check_forward(self) -> None:
        """Run the tower, which must be on the meta device, without numbers.

        Raises:
            ConfigurationError: if it cannot process images.
        """
        _check_forward(
            'vision',
            lambda: self(torch.empty(1, 3, self.image_size, self.image_size, device='meta')),
            (1, self.embed_dim),
        )


class ClipTextEncoder(nn.Module):
    """Text features ``[N, L, width]`` of tokens ``[N, L]``: all blocks but the last, then the final norm; no pooling.

    The last block and the projection are not used ("penultimate layer"), so they are not built. Takes the same ``clip``
    as :class:`ClipImageEncoder` and raises the same errors.
    """

    def __init__(self, clip: str | Mapping[str, Any]) -> None:
        super().__init__()
        configuration = clip_configuration(clip)
        given: Any = configuration.get('text_cfg')
        _check_text(given)
        layers: int = given.get('layers', 12)
        self.layers = layers - 1
        self.text: Any = _build_tower('text', configuration, {**given, 'layers': layers - 1, 'proj_type': 'none'})
        self.context_length, self.width = map(int, self.text.positional_embedding.shape)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.text.token_embedding(tokens) + self.text.positional_embedding
        out: torch.Tensor = self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask))
        return out

    def check_forward(self) -> None:
        """Run the tower, which must be on the meta device, without numbers.

        Raises:
            ConfigurationError: if it cannot process texts.
        """
        tokens = torch.empty(1, self.context_length, dtype=torch.long, device='meta')
        _check_forward('text', lambda: self(tokens), (1, self.context_length, self.width))


def _check_forward(kind: str, run: Callable[[], torch.Tensor], shape: tuple[int, ...]) -> None:
    try:
        with torch.no_grad():
            found = tuple(run().shape)
    except _IMPOSSIBLE as error:
        raise ConfigurationError(f"The tower of 'clip.{kind}_cfg' does not work: {error}. Correct it.") from error
    if found != shape:
        raise ConfigurationError(f"The tower of 'clip.{kind}_cfg' gives {list(found)} instead of {list(shape)}.")


class ClipEncoders(nn.Module):
    """Both towers of one CLIP: :attr:`image` and :attr:`text`.

    Takes the same ``clip`` as :class:`ClipImageEncoder` and raises the same errors.
    """

    def __init__(self, clip: str | Mapping[str, Any]) -> None:
        super().__init__()
        self.image = ClipImageEncoder(clip)
        self.text = ClipTextEncoder(clip)

    def check_forward(self) -> None:
        """Run both towers, which must be on the meta device, without numbers.

        Raises:
            ConfigurationError: if one of them does not work.
        """
        self.image.check_forward()
        self.text.check_forward()


def _build_tower(kind: str, configuration: Mapping[str, Any], tower: Mapping[str, Any]) -> Any:
    """Build one tower alone: there is no public constructor, but both of open_clip's CLIP classes call these."""
    from open_clip import model

    build = {'vision': model._build_vision_tower, 'text': model._build_text_tower}[kind]
    try:
        return build(configuration['embed_dim'], dict(tower), quick_gelu=configuration.get('quick_gelu', False))
    except _IMPOSSIBLE as error:
        raise ConfigurationError(f"open_clip cannot build 'clip.{kind}_cfg': {error}") from error
