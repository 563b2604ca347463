"""Whose weights are these? For the error about a UNet's file that belongs to a model of another type."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from contextlib import suppress
from types import SimpleNamespace

from torch import nn

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.networks.unet import SpatioTemporalUNet
from modelscope_i2v.stage import Stage, stages
from modelscope_i2v.weights.key_maps import key_map


def owners(module: nn.Module, keys: Collection[str]) -> list[Stage]:
    """The stages whose UNet, with as many layers as ``module``, has exactly ``keys``.

    None if ``module`` has them too, or is no UNet.
    """
    if not isinstance(module, SpatioTemporalUNet) or _has(module, keys):
        return []
    return [stage for stage, unet in _unets(module) if _has(unet, keys)]


def _has(unet: nn.Module, keys: Collection[str]) -> bool:
    to_own = key_map(unet, keys)
    return {to_own(key) for key in keys} == unet.state_dict().keys()


def _unets(like: SpatioTemporalUNet) -> Iterator[tuple[Stage, nn.Module]]:
    """Every stage, with a UNet of the size of ``like``."""
    given = dataclasses.asdict(like.config)
    for stage in stages():
        parameters = type(stage.configuration().unet)
        names = {item.name for item in dataclasses.fields(parameters)}
        with suppress(ConfigurationError):
            unet = parameters(**{name: value for name, value in given.items() if name in names})
            configuration = SimpleNamespace(unet=unet)
            yield stage, build_on_meta(lambda: stage.networks['ckpt_unet'](configuration))  # noqa: B023  called at once
