"""Low-rank adaptation (LoRA): fine-tune a UNet by training a small change to some of its layers.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685. ``peft`` adds the change to
the layers. Loading a saved LoRA does not need ``peft``, see :func:`modelscope_i2v.weights.lora.apply.apply_lora`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from modelscope_i2v.checks import integer, number
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.files import output_target
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.weights.lora.file import LoraDescription, check_rank_alpha_layers, unet_parameters
from modelscope_i2v.weights.lora.layers import factor_key, lora_layers
from modelscope_i2v.weights.save import write_tensors

Module = TypeVar('Module', bound=nn.Module)

#: peft's name for the only adapter.
_ADAPTER = 'default'


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """The size of a LoRA and the layers it changes.

    Attributes:
        rank: the rank of the change to each layer, 1..4096.
        alpha: the change is ``alpha / rank * B A``, so the learning rate need not be adapted to the rank.
        dropout: dropout rate of the input of A during training, at least 0 and below 1.
        layers: the groups of layers to change, from :data:`~modelscope_i2v.weights.lora.layers.LAYER_GROUPS`. By
            default ``'attention'`` and ``'temporal'``; small networks learn more with ``'feed_forward'`` and
            ``'convolution'`` as well.
        seed: the seed of the initial A. B starts at zero, so the change does too.

    Raises:
        ConfigurationError: for an impossible value. It names the setting, what was found and what is allowed.
    """

    rank: int = 16
    alpha: float = 16.0
    dropout: float = 0.0
    layers: tuple[str, ...] = ('attention', 'temporal')
    seed: int = 0

    def __post_init__(self) -> None:
        _, _, layers = check_rank_alpha_layers(self.rank, self.alpha, self.layers, ConfigurationError)
        object.__setattr__(self, 'layers', layers)
        if number('dropout', self.dropout, 0, 1) == 1:
            raise ConfigurationError("'dropout' must be below 1, found 1: nothing would be learnt.")
        integer('seed', self.seed, 0, 2**31 - 1)


def add_lora(unet: Module, settings: LoraSettings) -> Module:
    """Add a trainable LoRA to the layers in ``settings``, freeze everything else and return ``unet``, changed in place.

    The output stays the same until B is trained. A and B are float32 whatever the dtype of the weights, so that small
    optimiser steps are not lost.

    Raises:
        ConfigurationError: if ``unet`` has no such layers or already has a LoRA.
    """
    from peft import LoraConfig, inject_adapter_in_model

    names = list(lora_layers(unet, settings.layers))
    if not names:
        raise ConfigurationError(f"The network has no layers of the groups {settings.layers}. Choose other 'layers'.")
    if _has_lora(unet):
        raise ConfigurationError('The network already has a LoRA. Build a new network, or train the LoRA it has.')
    unet.requires_grad_(False)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=names,
        bias='none',
    )
    seeded(lambda: inject_adapter_in_model(config, unet, adapter_name=_ADAPTER), settings.seed)
    for parameter in unet.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return unet


def save_lora(
    unet: nn.Module,
    path: str | os.PathLike[str],
    settings: LoraSettings,
    metadata: Mapping[str, str] | None = None,
    *,
    key: str,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Save the LoRA of ``unet``, and nothing else, as a ``.safetensors`` file, completely or not at all.

    Args:
        unet: what :func:`add_lora` returned for ``settings``.
        key: the key of the stage (:attr:`Stage.lora_key <modelscope_i2v.stage.Stage.lora_key>`).
        metadata: further entries for the header. Entries that loading needs take precedence.
        dtype: the dtype of the saved tensors. Float16 rounds them by up to 0.05 %.

    Raises:
        InputError: if ``unet`` has no such LoRA. OutputError: if the file cannot be written.
    """
    tensors = {}
    for name, layer in lora_layers(unet, settings.layers).items():
        for letter in 'AB':
            factors = getattr(layer, f'lora_{letter}', {})
            if _ADAPTER not in factors:
                raise InputError(f"'{name}' has no LoRA. Save a network that add_lora returned for these settings.")
            tensors[factor_key(name, letter)] = factors[_ADAPTER].weight.detach().to('cpu', dtype).contiguous()
    description = LoraDescription(
        task=key, rank=settings.rank, alpha=settings.alpha, layers=settings.layers, unet=unet_parameters(unet)
    )
    write_tensors(tensors, output_target(path), {**(metadata or {}), **description.to_metadata()})


def _has_lora(unet: nn.Module) -> bool:
    return any('.lora_A.' in name for name, _ in unet.named_parameters())
