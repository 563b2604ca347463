"""Small pictures of a video while it is sampled, at the cost of a matrix product.

A pixel of latents has the colours of the pixels that it stands for, in other coordinates. So a linear map from its
channels to RGB is close to what the decoder makes, reduced to the size of the latents. The map differs between
autoencoders: it is fitted to the one at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

#: Pictures that the map is fitted to, and their side in pixels of latents.
_PICTURES, _SIDE = 16, 16
#: Cells a side of the colour fields that a picture is a sum of, and the share of each.
_FIELDS = ((1, 0.6), (2, 0.6), (4, 0.5), (8, 0.3), (16, 0.2))


@dataclass(frozen=True)
class Preview:
    """A linear map from latents to colours.

    Attributes:
        weight, bias: ``[channels, 3]`` and ``[3]``; colours are in -1..1.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def fit(cls, model: Any) -> Preview:
        """The map for the autoencoder of a loaded model, by least squares over what it makes of smooth colours.

        It takes about a second on a CPU for the embedded models. It draws nothing from the global random state.
        """
        autoencoder = model.configuration.autoencoder
        pictures = _smooth_colours(_PICTURES, _SIDE * autoencoder.downsampling_factor)
        latents = model.encode(pictures)[0] * autoencoder.scale_factor
        decoded = torch.cat(list(model.decode(latents.transpose(0, 1).unsqueeze(0))))
        colours = F.avg_pool2d(decoded.cpu(), autoencoder.downsampling_factor)
        known = _as_rows(latents.cpu())
        known = torch.cat([known, torch.ones(len(known), 1)], 1)
        solution = torch.linalg.lstsq(known, _as_rows(colours)).solution
        return cls(solution[:-1].contiguous(), solution[-1].contiguous())

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents ``[1, C, F, h, w]``, as callbacks get them -> uint8 RGB ``[F, h, w, 3]`` on the CPU."""
        values = latents[0].permute(1, 2, 3, 0).float().cpu()
        colours = (values @ self.weight + self.bias).clamp(-1, 1)
        return ((colours + 1) * 127.5).round().to(torch.uint8)


def preview_callback(
    preview: Preview, show: Callable[[int, torch.Tensor], None]
) -> Callable[[Any, int, float, Mapping[str, Any]], None]:
    """A ``callback_on_step_end`` that calls ``show(step, frames)`` with uint8 RGB frames ``[F, h, w, 3]``.

    >>> preview = Preview.fit(pipe.model)
    >>> pipe('photo.jpg', callback_on_step_end=preview_callback(preview, lambda step, frames: print(frames.shape)))
    """

    def call(pipeline: Any, step: int, timestep: float, values: Mapping[str, Any]) -> None:
        show(step, preview(values['latents']))

    return call


def _smooth_colours(count: int, side: int) -> torch.Tensor:
    """Pictures ``[count, 3, side, side]`` in -1..1: sums of random colour fields from coarse to fine."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(count, 3, side, side)
    for cells, share in _FIELDS:
        field = share * torch.randn(count, 3, cells, cells, generator=generator)
        total += F.interpolate(field, size=(side, side), mode='bilinear')
    return total.tanh()


def _as_rows(values: torch.Tensor) -> torch.Tensor:
    """``[n, C, h, w]`` -> ``[n*h*w, C]``."""
    return values.permute(0, 2, 3, 1).flatten(0, 2)
