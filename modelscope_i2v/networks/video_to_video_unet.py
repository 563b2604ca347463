"""Stage 2's UNet: the trunk, conditioned on text, with a resampling that suits a height of 90 latent pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from modelscope_i2v.networks.parameters import TEXT_TOKENS, UNetParameters
from modelscope_i2v.networks.unet import DeepFeatures, SpatioTemporalUNet, Upsample


class TallDownsample(nn.Module):
    """A 3x3 convolution of stride 2, padded by one more row above and below: ``h -> h / 2 + 1``, ``w -> w / 2``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=(2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x)
        return out


class TallUpsample(Upsample):
    """Restores the size before :class:`TallDownsample`: doubles it, drops the first and last row: ``h -> 2 h - 2``."""

    def resize(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, h, w] -> [N, C, 2h - 2, 2w]``."""
        return super().resize(x)[..., 1:-1, :]


class VideoToVideoUNet(SpatioTemporalUNet):
    """Stage 2: conditioned on text features, but not on a frame rate.

    720 pixels are 90 latent pixels, which cannot be halved three times. The taller resampling turns them into 46, 24
    and 13. In general, legal latent heights are 2 modulo 8 (with four levels).

    Args:
        **unet: the fields of :class:`~modelscope_i2v.networks.parameters.UNetParameters`.

    Raises:
        ConfigurationError: for an impossible parameter.
    """

    downsample = TallDownsample
    upsample = TallUpsample
    height_remainder = 2

    def __init__(self, **unet: Any) -> None:
        super().__init__(UNetParameters(**unet))

    def empty_conditions(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x.new_empty(len(x), TEXT_TOKENS, self.config.context_dim),)

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        text_features: torch.Tensor,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        """Predict v.

        Args:
            x: noisy latents ``[B, 4, F, h, w]``.
            t: timesteps ``[B]`` in 0..999.
            text_features: ``[B, L, context_dim]``.
            deep: see :meth:`~modelscope_i2v.networks.unet.SpatioTemporalUNet.trunk`.

        Returns:
            ``[B, 4, F, h, w]`` in the dtype of the weights.

        Raises:
            InputError: if ``x`` has the wrong shape, or a size that the levels cannot halve.
        """
        return self.trunk(x, self._embed(t, self.time_embedding), text_features, deep=deep)
