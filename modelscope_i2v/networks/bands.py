"""Feature maps of images in bands of rows, so that convolutional layers need the memory of one band at a time.

A layer gets each band together with the :data:`HALO` rows that adjoin it. Its convolutions see wrong zeros where an
image was cut. That spoils fewer rows of the result than the halo became, and those are cut off. So bands fit together
without blending. GroupNorm looks at whole images: its statistics are collected from all bands first. The result is that
of whole images, up to the rounding of sums.

Only results of layers are kept, not what they compute on the way. That is computed again for every norm: the first
convolution of a residual block twice, and a convolution before the block three times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from modelscope_i2v.networks.layers import ResidualBlock, silu

#: Rows of the bands above and below that a layer gets: enough for two 3x3 convolutions, also if the size is doubled and
#: a third one comes before them. The number is even, so that rows keep their places if the size is halved.
HALO = 2

#: Maps rows ``[N, C, h, w]`` of images to ``[N, C', s h, s w]``, where the scale ``s`` is 1/2, 1 or 2.
Layer = Callable[[torch.Tensor], torch.Tensor]


def band_rows(rows: int, count: int, *, multiple: int = 1) -> list[int]:
    """The heights of ``count`` bands of ``rows`` rows, as equal as can be; fewer if those would be lower than a halo.

    Args:
        multiple: what all heights but the last one are multiples of.
    """
    units = rows // multiple
    count = max(1, min(count, units // HALO))
    heights = [multiple * (units * (index + 1) // count - units * index // count) for index in range(count)]
    heights[-1] += rows - sum(heights)
    return heights


def identity(x: torch.Tensor) -> torch.Tensor:
    """The layer that does nothing."""
    return x


class Bands:
    """A feature map ``[N, C, h, w]``, cut into bands of rows, which layers replace one after the other.

    Args:
        rows: the bands from top to bottom, each of at least :data:`HALO` rows. The list is emptied, so that each band
            is freed when a layer has used it.
    """

    def __init__(self, rows: list[torch.Tensor]) -> None:
        self._rows = rows.copy()
        rows.clear()

    def apply(self, layer: Layer) -> None:
        """Replace the map by ``layer`` of it; see :data:`HALO` for how far its convolutions may reach."""
        made: list[torch.Tensor] = []
        above: list[torch.Tensor] = []
        while self._rows:
            band = self._rows.pop(0)
            seen = _Surrounded.by(above, band, self._rows[:1])
            above = [band[:, :, -HALO:].clone()]
            del band
            made.append(seen.through(layer).clone())  # without the rows that were cut off
        self._rows = made

    def residual(self, block: ResidualBlock, before: Layer = identity) -> None:
        """Replace the map by ``block(before(map))``, without keeping ``before(map)``, which may be large."""
        norm_in = self.norm(block.norm_in, before)

        def inner(x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = block.conv_in(silu(norm_in(x)))
            return out

        norm_out = self.norm(block.norm_out, lambda rows: inner(before(rows)))

        def whole(rows: torch.Tensor) -> torch.Tensor:
            x = before(rows)
            hidden = block.conv_out(silu(norm_out(inner(x))))
            out: torch.Tensor = block.shortcut(x) + hidden
            return out

        self.apply(whole)

    def norm(self, norm: nn.GroupNorm, before: Layer = identity) -> Layer:
        """``norm`` of ``before(map)``, as a layer that takes any rows of it.

        Mean and variance are in float32. Those of the bands are merged as in Chan, Golub and LeVeque 1979, "Updating
        formulae and a pairwise algorithm for computing sample variances", equation 2.1.
        """
        count, mean, squares = 0, torch.zeros(()), torch.zeros(())
        for index, band in enumerate(self._rows):
            seen = _Surrounded.by(self._rows[:index], band, self._rows[index + 1 :])
            part = seen.through(before)
            del seen  # only one of them is needed any longer
            groups = rearrange(part.float(), 'n (g c) h w -> n g c h w', g=norm.num_groups)
            more = groups[0, 0].numel()
            variance, own_mean = torch.var_mean(groups, dim=(2, 3, 4), correction=0)
            del part, groups  # not to be in memory beside the next band
            mean, squares = mean.to(own_mean), squares.to(own_mean)
            share = more / (count + more)
            squares = squares + more * variance + count * share * (own_mean - mean).square()
            mean = mean + share * (own_mean - mean)
            count += more
        return _known_norm(norm, mean, squares / count)

    def joined(self) -> torch.Tensor:
        """The whole map ``[N, C, h, w]``."""
        return torch.cat(self._rows, dim=2)


class _Surrounded:
    """A band with its halo."""

    def __init__(self, rows: torch.Tensor, above: int, below: int) -> None:
        self._rows, self._above, self._below = rows, above, below

    @classmethod
    def by(cls, above: Sequence[torch.Tensor], band: torch.Tensor, below: Sequence[torch.Tensor]) -> _Surrounded:
        """``band`` between the last band of ``above`` and the first one of ``below``, if there are any."""
        first = [each[:, :, -HALO:] for each in above[-1:]]
        last = [each[:, :, :HALO] for each in below[:1]]
        return cls(torch.cat([*first, band, *last], dim=2), HALO * len(first), HALO * len(last))

    def through(self, layer: Layer) -> torch.Tensor:
        """``layer`` of the band, without what became of the halo."""
        count = self._rows.shape[2]
        made = layer(self._rows)
        # Halving rounds an odd number of rows down, so the scale is not exact.
        above, below = (round(rows * made.shape[2] / count) for rows in (self._above, self._below))
        return made[:, :, above : made.shape[2] - below]


def _known_norm(norm: nn.GroupNorm, mean: torch.Tensor, variance: torch.Tensor) -> Layer:
    """``norm`` with known statistics ``[N, groups]``, which is what batch normalisation computes for inference."""
    size = norm.num_channels // norm.num_groups
    means, variances = (each.repeat_interleave(size, dim=1).flatten() for each in (mean, variance))

    def layer(x: torch.Tensor) -> torch.Tensor:
        weight, bias = (each.float().repeat(len(x)) for each in (norm.weight, norm.bias))
        one = x.reshape(1, -1, *x.shape[2:])
        return F.batch_norm(one, means, variances, weight, bias, eps=norm.eps).view_as(x)

    return layer
