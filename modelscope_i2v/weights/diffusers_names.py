"""Weights under the names that diffusers and transformers give them.

Beside other names, they keep projections apart that are one tensor here (queries, keys and values), and store 1x1
convolutions as matrices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.networks import AutoencoderKL, ClipEncoders, ClipImageEncoder, ClipTextEncoder
from modelscope_i2v.networks.unet import SpatioTemporalUNet
from modelscope_i2v.weights.key_maps import TRANSFORMER_RULES, Rules, rewritten

#: What marks a part of a tensor: ``name|0``, ``name|1``, ... are concatenated to ``name``.
_PART = '|'

_UNET_END_RULES: Rules = (
    (r'^transformer_in\.', 'temporal_in.'),
    (r'^conv_norm_out\.', 'norm_out.'),
    (r'^fps_embedding\.0\.', 'fps_embedding.linear_1.'),
    (r'^fps_embedding\.2\.', 'fps_embedding.linear_2.'),
    (r'^context_embedding\.0\.', 'image_projection.linear_1.'),
    (r'^context_embedding\.2\.', 'image_projection.linear_2.'),
    (r'^image_latents_proj_in\.0\.', 'concat_encoder.conv_1.'),
    (r'^image_latents_proj_in\.2\.', 'concat_encoder.conv_2.'),
    (r'^image_latents_proj_in\.4\.', 'concat_encoder.conv_3.'),
    (r'^image_latents_temporal_encoder\.norm1\.', 'concat_encoder.norm.'),
    (r'^image_latents_temporal_encoder\.attn1\.to_q\.weight', f'concat_encoder.attention.to_qkv.weight{_PART}0'),
    (r'^image_latents_temporal_encoder\.attn1\.to_k\.weight', f'concat_encoder.attention.to_qkv.weight{_PART}1'),
    (r'^image_latents_temporal_encoder\.attn1\.to_v\.weight', f'concat_encoder.attention.to_qkv.weight{_PART}2'),
    (r'^image_latents_temporal_encoder\.attn1\.', 'concat_encoder.attention.'),
    (r'^image_latents_temporal_encoder\.ff\.net\.0\.proj\.', 'concat_encoder.mlp_in.'),
    (r'^image_latents_temporal_encoder\.ff\.net\.2\.', 'concat_encoder.mlp_out.'),
    (r'^image_latents_context_embedding\.0\.', 'local_token_encoder.conv_1.'),
    (r'^image_latents_context_embedding\.3\.', 'local_token_encoder.conv_2.'),
    (r'^image_latents_context_embedding\.5\.', 'local_token_encoder.conv_3.'),
)

_RESIDUAL_RULES: Rules = (
    (r'^norm1\.', 'norm_in.'),
    (r'^conv1\.', 'conv_in.'),
    (r'^time_emb_proj\.', 'embed_proj.'),
    (r'^norm2\.', 'norm_out.'),
    (r'^conv2\.', 'conv_out.'),
    (r'^conv_shortcut\.', 'shortcut.'),
)

_TEMPORAL_RULES: Rules = (
    (r'^conv([1-4])\.0\.', lambda match: f'{int(match[1]) - 1}.norm.'),
    (r'^conv([1-4])\.[23]\.', lambda match: f'{int(match[1]) - 1}.conv.'),
)

#: The parts of a UNet's block: diffusers' list of them -> ours, and the rules for what is inside.
_BLOCK_PARTS: Mapping[str, tuple[str, Rules]] = {
    'resnets': ('residual.spatial', _RESIDUAL_RULES),
    'temp_convs': ('residual.temporal', _TEMPORAL_RULES),
    'attentions': ('spatial_transformer', TRANSFORMER_RULES),
    'temp_attentions': ('temporal_transformer', TRANSFORMER_RULES),
}

_AUTOENCODER_ATTENTION_RULES: Rules = (
    (r'^group_norm\.', 'norm.'),
    (r'^(?:to_q|query)\.', 'to_q.'),
    (r'^(?:to_k|key)\.', 'to_k.'),
    (r'^(?:to_v|value)\.', 'to_v.'),
    (r'^(?:to_out\.0|proj_attn)\.', 'to_out.'),
)

_CLIP_RULES: Rules = (
    (r'^(?:text_model\.)?embeddings\.token_embedding\.', 'token_embedding.'),
    (r'^(?:text_model\.)?embeddings\.position_embedding\.weight$', 'positional_embedding'),
    (r'^(?:text_model\.)?final_layer_norm\.', 'ln_final.'),
    (r'^(?:text_model\.)?encoder\.layers\.', 'transformer.resblocks.'),
    (r'^vision_model\.embeddings\.class_embedding$', 'visual.class_embedding'),
    (r'^vision_model\.embeddings\.patch_embedding\.', 'visual.conv1.'),
    (r'^vision_model\.embeddings\.position_embedding\.weight$', 'visual.positional_embedding'),
    (r'^vision_model\.pre_layrnorm\.', 'visual.ln_pre.'),  # the misspelling is theirs
    (r'^vision_model\.post_layernorm\.', 'visual.ln_post.'),
    (r'^vision_model\.encoder\.layers\.', 'visual.transformer.resblocks.'),
    (r'^visual_projection\.weight$', 'visual.proj'),
    (r'^text_projection\.weight$', 'text_projection'),
    (r'\.self_attn\.q_proj\.(weight|bias)$', rf'.attn.in_proj_\1{_PART}0'),
    (r'\.self_attn\.k_proj\.(weight|bias)$', rf'.attn.in_proj_\1{_PART}1'),
    (r'\.self_attn\.v_proj\.(weight|bias)$', rf'.attn.in_proj_\1{_PART}2'),
    (r'\.self_attn\.out_proj\.', '.attn.out_proj.'),
    (r'\.layer_norm([12])\.', r'.ln_\1.'),
    (r'\.mlp\.fc1\.', '.mlp.c_fc.'),
    (r'\.mlp\.fc2\.', '.mlp.c_proj.'),
)

_UNET_BLOCK = re.compile(r'(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)')
_UNET_MIDDLE = re.compile(r'mid_block\.(\w+)\.(\d+)\.(.+)')
_AUTOENCODER_BLOCK = re.compile(r'(en|de)coder\.(?:down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)')
_AUTOENCODER_MIDDLE = re.compile(r'(en|de)coder\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)')
_CLIP_KEY = re.compile(r'^(?:text_model|vision_model|encoder\.layers)\.')


def has_their_names(module: nn.Module, keys: Mapping[str, torch.Tensor]) -> bool:
    """Whether ``keys`` are those of diffusers or transformers."""
    return _key_map(module, keys) is not None


def from_diffusers(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """``tensors`` under our names or the original's, if they have those of diffusers; else ``tensors`` itself.

    Raises:
        CheckpointError: for a tensor that is there twice, or whose parts cannot be joined.
    """
    to_ours = _key_map(module, tensors)
    if to_ours is None:
        return tensors
    shapes = {key: tensor.shape for key, tensor in module.state_dict().items()}
    parts: dict[str, dict[str, str]] = {}
    for key in tensors:
        name, _, part = to_ours(key).partition(_PART)
        first = parts.setdefault(name, {}).setdefault(part, key)
        if first != key:
            raise CheckpointError(f"The weights hold the same tensor twice: '{first}' and '{key}'. Remove one.")
    joined = {name: _joined([tensors[found[part]] for part in sorted(found)], found) for name, found in parts.items()}
    return {name: _shaped(name, tensor, shapes.get(name)) for name, tensor in joined.items()}


def _joined(parts: Sequence[torch.Tensor], keys: Mapping[str, str]) -> torch.Tensor:
    if len(parts) == 1:
        return parts[0]
    try:
        return torch.cat(list(parts))
    except RuntimeError as error:
        names = ', '.join(map(repr, keys.values()))
        raise CheckpointError(f'The weights {names} do not belong together: {error}. Download them again.') from error


def _key_map(module: nn.Module, keys: Mapping[str, torch.Tensor]) -> Callable[[str], str] | None:
    """The map for ``keys``; None if they are not those of diffusers."""
    if isinstance(module, SpatioTemporalUNet):
        depth = module.config.num_res_blocks
        return (lambda key: _unet_key(key, depth)) if any(key.startswith('down_blocks.') for key in keys) else None
    if isinstance(module, AutoencoderKL):
        levels = len(module.config.channel_mult)
        ours = any(key.startswith('encoder.down_blocks.') for key in keys)
        return (lambda key: _autoencoder_key(key, levels)) if ours else None
    if isinstance(module, (ClipEncoders, ClipImageEncoder, ClipTextEncoder)) and any(map(_CLIP_KEY.match, keys)):
        return lambda key: rewritten(_CLIP_RULES, key)
    return None


def _unet_key(key: str, depth: int) -> str:
    if block := _UNET_BLOCK.fullmatch(key):
        direction, level, part, index, rest = block.groups()
        first = int(level) * (depth + 1)
        if part == 'downsamplers':
            return f'encoder.{first + depth}.{rest}'
        if part == 'upsamplers':
            return f'decoder.{first + depth}.resample.{rest}'
        return _in_block(f'{"encoder" if direction == "down" else "decoder"}.{first + int(index)}', part, rest)
    if middle := _UNET_MIDDLE.fullmatch(key):
        part, index, rest = middle.groups()
        if index == '1':
            name, rules = _BLOCK_PARTS[part]
            return f'middle.{name.replace("residual", "residual_out")}.{rewritten(rules, rest)}'
        return _in_block('middle', part, rest)
    return rewritten(TRANSFORMER_RULES, rewritten(_UNET_END_RULES, key))


def _in_block(place: str, part: str, rest: str) -> str:
    if part not in _BLOCK_PARTS:
        return f'{place}.{part}.{rest}'
    name, rules = _BLOCK_PARTS[part]
    return f'{place}.{name}.{rewritten(rules, rest)}'


def _autoencoder_key(key: str, levels: int) -> str:
    if block := _AUTOENCODER_BLOCK.fullmatch(key):
        side, level, part, index, rest = block.groups()
        # Their decoder counts levels from the coarsest, ours from the finest.
        number = int(level) if side == 'en' else levels - 1 - int(level)
        place = f'{side}coder.levels.{number}'
        if part == 'resnets':
            return f'{place}.residual.{index}.{rewritten(_RESIDUAL_RULES, rest)}'
        return f'{place}.resample.{rest.removeprefix("conv.")}'
    if middle := _AUTOENCODER_MIDDLE.fullmatch(key):
        side, part, index, rest = middle.groups()
        if part == 'attentions':
            return f'{side}coder.middle.attention.{rewritten(_AUTOENCODER_ATTENTION_RULES, rest)}'
        name = 'residual_in' if index == '0' else 'residual_out'
        return f'{side}coder.middle.{name}.{rewritten(_RESIDUAL_RULES, rest)}'
    return key.replace('.conv_norm_out.', '.norm_out.')


def _shaped(name: str, tensor: torch.Tensor, expected: torch.Size | None) -> torch.Tensor:
    if name == 'visual.proj' and tensor.ndim == 2:
        return tensor.T
    if expected is not None and tensor.shape == expected[: tensor.ndim] and tensor.numel() == expected.numel():
        return tensor.reshape(expected)
    return tensor
