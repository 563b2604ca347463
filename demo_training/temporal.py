"""Grow a video network out of a picture network (Ho et al. 2022, arXiv 2204.03458; Singer et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from modelscope_i2v.networks.layers import SpatioTemporalResidualBlock, TemporalTransformer


def temporal_modules(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of ``module`` that connect frames: chains of temporal convolutions and temporal transformers."""
    for child in module.modules():
        if isinstance(child, SpatioTemporalResidualBlock):
            yield child.temporal
        elif isinstance(child, TemporalTransformer):
            yield child


@torch.no_grad()
def zero_temporal_outputs(module: nn.Module) -> None:
    """Set the last layer of every temporal part to zero, so that it adds nothing before it is trained."""
    for part in temporal_modules(module):
        last = part.proj_out if isinstance(part, TemporalTransformer) else part[-1].conv  # type: ignore[index]
        for parameter in last.parameters():
            parameter.zero_()


def set_temporal_layers(module: nn.Module, enabled: bool) -> None:
    """Enable or disable the layers that connect frames. Disabled parts are skipped and their weights are not trained.

    The networks themselves do not change. A disabled part gets its own ``forward``, which adds nothing.
    """
    for part in temporal_modules(module):
        part.requires_grad_(enabled)
        if enabled:
            part.__dict__.pop('forward', None)
        elif isinstance(part, TemporalTransformer):
            part.forward = _unchanged  # type: ignore[method-assign]
        else:
            part.forward = _nothing


def _unchanged(x: torch.Tensor, num_frames: int) -> torch.Tensor:
    """A temporal transformer that adds nothing to its input."""
    return x


def _nothing(video: torch.Tensor) -> torch.Tensor:
    """A chain of temporal convolutions that adds nothing."""
    return torch.zeros_like(video)
