"""Map the names in the published checkpoints to the names of our modules. Only this file has the checkpoints' typos.

A map is a function from a checkpoint's key to ours, or to None for a tensor that belongs to another network in the
same file. Our own keys pass through unchanged, so that files written by this package load by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from torch import nn

from modelscope_i2v.networks import AutoencoderKL, ClipEncoders, ClipImageEncoder, ClipTextEncoder
from modelscope_i2v.networks.unet import SpatioTemporalUNet

KeyMap = Callable[[str], 'str | None']
Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]

#: The first and last layers of the UNet, which are renamed one by one.
_UNET_END_RULES: Rules = (
    (r'^time_embed\.0\.', r'time_embedding.linear_1.'),
    (r'^time_embed\.2\.', r'time_embedding.linear_2.'),
    (r'^fps_embedding\.0\.', r'fps_embedding.linear_1.'),
    (r'^fps_embedding\.2\.', r'fps_embedding.linear_2.'),
    (r'^context_embedding\.0\.', r'image_projection.linear_1.'),
    (r'^context_embedding\.2\.', r'image_projection.linear_2.'),
    (r'^local_image_concat\.0\.', r'concat_encoder.conv_1.'),
    (r'^local_image_concat\.2\.', r'concat_encoder.conv_2.'),
    (r'^local_image_concat\.4\.', r'concat_encoder.conv_3.'),
    (r'^local_temporal_encoder\.layers\.0\.0\.norm\.', r'concat_encoder.norm.'),
    (r'^local_temporal_encoder\.layers\.0\.0\.fn\.', r'concat_encoder.attention.'),
    (r'^local_temporal_encoder\.layers\.0\.1\.net\.0\.0\.', r'concat_encoder.mlp_in.'),
    (r'^local_temporal_encoder\.layers\.0\.1\.net\.2\.', r'concat_encoder.mlp_out.'),
    (r'^local_image_embedding\.0\.', r'local_token_encoder.conv_1.'),
    (r'^local_image_embedding\.3\.', r'local_token_encoder.conv_2.'),
    (r'^local_image_embedding\.5\.', r'local_token_encoder.conv_3.'),
    (r'^input_blocks\.0\.0\.', r'conv_in.'),
    (r'^input_blocks\.0\.1\.', r'temporal_in.'),
    (r'^out\.0\.', r'norm_out.'),
    (r'^out\.2\.', r'conv_out.'),
)

_RESIDUAL_RULES: Rules = (
    (r'^in_layers\.0\.', r'spatial.norm_in.'),
    (r'^in_layers\.2\.', r'spatial.conv_in.'),
    (r'^emb_layers\.1\.', r'spatial.embed_proj.'),
    (r'^out_layers\.0\.', r'spatial.norm_out.'),
    (r'^out_layers\.3\.', r'spatial.conv_out.'),
    (r'^skip_connection\.', r'spatial.shortcut.'),
    (r'^temopral_conv\.conv([1-4])\.0\.', lambda match: f'temporal.{int(match[1]) - 1}.norm.'),
    (r'^temopral_conv\.conv([1-4])\.[23]\.', lambda match: f'temporal.{int(match[1]) - 1}.conv.'),
)

TRANSFORMER_RULES: Rules = (
    (r'\btransformer_blocks\.0\.', r'block.'),
    (r'\.attn([12])\.', r'.attention_\1.'),
    (r'\.to_out\.0\.', r'.to_out.'),
    (r'\.ff\.net\.0\.proj\.', r'.feed_forward.proj_in.'),
    (r'\.ff\.net\.2\.', r'.feed_forward.proj_out.'),
    (r'\.norm([123])\.', r'.norm_\1.'),
)

_UNET_BLOCK = re.compile(r'(input_blocks|output_blocks)\.(\d+)\.(\d+|op)\.(.+)')
_UNET_MIDDLE = re.compile(r'middle_block\.(\d)\.(.+)')

_AUTOENCODER_RULES: Rules = (
    (r'\.(?:down|up)\.(\d+)\.block\.', r'.levels.\1.residual.'),
    (r'\.(?:down|up)\.(\d+)\.(?:down|up)sample\.conv\.', r'.levels.\1.resample.'),
    (r'\.mid\.block_1\.', r'.middle.residual_in.'),
    (r'\.mid\.block_2\.', r'.middle.residual_out.'),
    (r'\.mid\.attn_1\.([qkv])\.', r'.middle.attention.to_\1.'),
    (r'\.mid\.attn_1\.proj_out\.', r'.middle.attention.to_out.'),
    (r'\.mid\.attn_1\.', r'.middle.attention.'),
    (r'\.norm1\.', r'.norm_in.'),
    (r'\.norm2\.', r'.norm_out.'),
    (r'\.conv1\.', r'.conv_in.'),
    (r'\.conv2\.', r'.conv_out.'),
    (r'\.nin_shortcut\.', r'.shortcut.'),
)

#: The keys of a whole CLIP file that do not belong to the image tower.
_CLIP_TEXT = re.compile(
    r'^(text\.|transformer\.|token_embedding\.|ln_final\.)'
    r'|^(positional_embedding|text_projection|logit_scale|logit_bias|attn_mask)$'
)

#: The keys that come after the layers of the text tower, or belong to both towers.
_CLIP_HEAD = re.compile(r'^(text_projection(\.weight|\.bias)?|logit_scale|logit_bias|attn_mask)$')

_AUTOENCODER_PREFIX = 'first_stage_model.'


def rewritten(rules: Rules, key: str) -> str:
    """``key`` after all ``rules``, one after the other."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _unet_layer(layer: str, rest: str) -> str:
    """Map a layer of a block. Residual blocks and resampling are recognised by name, transformers by position."""
    if rest.startswith('conv.'):
        return f'resample.{rest}'
    if rest.startswith(('norm.', 'proj_', 'transformer_blocks.')):
        kind = {'1': 'spatial_transformer', '2': 'temporal_transformer'}.get(layer, layer)
        return f'{kind}.{rewritten(TRANSFORMER_RULES, rest)}'
    return f'residual.{rewritten(_RESIDUAL_RULES, rest)}'


def _unet_key(key: str) -> str:
    end = rewritten(_UNET_END_RULES, key)
    if end != key:
        return rewritten(TRANSFORMER_RULES, end)
    if middle := _UNET_MIDDLE.fullmatch(key):
        layer, rest = middle.groups()
        last = layer == '3'
        return (
            f'middle.residual_out.{rewritten(_RESIDUAL_RULES, rest)}' if last else f'middle.{_unet_layer(layer, rest)}'
        )
    if block := _UNET_BLOCK.fullmatch(key):
        part, index, layer, rest = block.groups()
        # The checkpoint counts the input convolution as block 0 of the encoder.
        place = f'encoder.{int(index) - 1}' if part == 'input_blocks' else f'decoder.{index}'
        return f'{place}.conv.{rest}' if layer == 'op' else f'{place}.{_unet_layer(layer, rest)}'
    return key


def _clip_image_key(key: str) -> str | None:
    return None if _CLIP_TEXT.match(key) else key


def _clip_text_key(key: str, layers: int) -> str | None:
    """Map a key of the text tower; None if :class:`ClipTextEncoder` does not build that part."""
    if key.startswith('visual.') or _CLIP_HEAD.match(key):
        return None
    key = key.removeprefix('text.')
    unused = key.startswith(f'transformer.resblocks.{layers}.') or _CLIP_HEAD.match(key)
    return None if unused else f'text.{key}'


def _clip_key(key: str, layers: int) -> str | None:
    """Map a key of a whole CLIP file to the tower that it belongs to."""
    if key.startswith('visual.'):
        return f'image.{key}'
    inside = _clip_text_key(key, layers)
    return None if inside is None else f'text.{inside}'


def key_map(module: nn.Module, keys: Iterable[str]) -> KeyMap:
    """The map for loading a file with ``keys`` into ``module`` (identity for modules of other types)."""
    own = set(module.state_dict())

    def unless_own(mapping: KeyMap) -> KeyMap:
        return lambda key: key if key in own else mapping(key)

    if isinstance(module, SpatioTemporalUNet):
        return unless_own(_unet_key)
    if isinstance(module, ClipImageEncoder):
        return unless_own(_clip_image_key)
    if isinstance(module, ClipTextEncoder):
        layers = module.layers
        return unless_own(lambda key: _clip_text_key(key, layers))
    if isinstance(module, ClipEncoders):
        layers = module.text.layers
        return unless_own(lambda key: _clip_key(key, layers))
    if isinstance(module, AutoencoderKL):
        if not any(_AUTOENCODER_PREFIX in key for key in keys):
            return unless_own(lambda key: rewritten(_AUTOENCODER_RULES, key))

        # A whole Stable Diffusion checkpoint: its UNet and text encoder are skipped.
        def inside_stable_diffusion(key: str) -> str | None:
            _, prefix, rest = key.rpartition(_AUTOENCODER_PREFIX)
            return rewritten(_AUTOENCODER_RULES, rest) if prefix else None

        return inside_stable_diffusion
    return lambda key: key
