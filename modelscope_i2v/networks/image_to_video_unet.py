"""Stage 1's UNet: the trunk, conditioned on an image embedding and a frame rate."""

from __future__ import annotations

from typing import Any

import torch

from modelscope_i2v.networks.image_conditioned_unet import ImageConditionedUNet
from modelscope_i2v.networks.unet import DeepFeatures


class ImageToVideoUNet(ImageConditionedUNet):
    """Stage 1: conditioned on a CLIP image embedding and on the frame rate.

    Args:
        **unet: the fields of :class:`~modelscope_i2v.networks.parameters.ImageToVideoUNetParameters`.

    Raises:
        ConfigurationError: for an impossible parameter.
    """

    def __init__(self, **unet: Any) -> None:
        super().__init__(**unet)

    def empty_conditions(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x.new_empty(len(x), 1, self.image_embed_dim), x.new_empty(len(x))

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        image_embedding: torch.Tensor,
        fps: torch.Tensor,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        """Predict v.

        Args:
            x: noisy latents ``[B, 4, F, h, w]``.
            t: timesteps ``[B]`` in 0..999.
            image_embedding: ``[B, 1, image_embed_dim]``; zeros for the unconditional branch.
            fps: frames per second ``[B]`` (or ``[1]`` for the whole batch).
            deep: see :meth:`~modelscope_i2v.networks.unet.SpatioTemporalUNet.trunk`.

        Returns:
            ``[B, 4, F, h, w]`` in the dtype of the weights.

        Raises:
            InputError: if ``x`` or ``image_embedding`` has the wrong shape, or if the levels cannot halve the size.
        """
        self.check_image_embedding(image_embedding, x.shape[0])
        return self.trunk(x, self.time_and_fps(t, fps), self.global_tokens(image_embedding), deep=deep)
