"""Stage 1's UNet: the trunk, conditioned on an image embedding and a frame rate."""

from __future__ import annotations

from typing import Any

import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.networks.layers import EmbeddingMLP
from modelscope_i2v.networks.parameters import ImageToVideoUNetParameters
from modelscope_i2v.networks.unet import SpatioTemporalUNet


class ImageToVideoUNet(SpatioTemporalUNet):
    """Stage 1: conditioned on a CLIP image embedding and on the frame rate.

    Args:
        **unet: the fields of :class:`~modelscope_i2v.networks.parameters.ImageToVideoUNetParameters`.

    Raises:
        ConfigurationError: for an impossible parameter.
    """

    def __init__(self, **unet: Any) -> None:
        parameters = ImageToVideoUNetParameters(**unet)
        super().__init__(parameters)
        self.image_embed_dim = parameters.image_embed_dim
        self.num_image_tokens = parameters.num_image_tokens
        hidden_dim = parameters.time_embed_dim
        self.fps_embedding = EmbeddingMLP(parameters.model_channels, hidden_dim, hidden_dim)
        self.image_projection = EmbeddingMLP(
            parameters.image_embed_dim, hidden_dim, parameters.num_image_tokens * parameters.context_dim
        )

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, image_embedding: torch.Tensor, fps: torch.Tensor
    ) -> torch.Tensor:
        """Predict v.

        Args:
            x: noisy latents ``[B, 4, F, h, w]``.
            t: timesteps ``[B]`` in 0..999.
            image_embedding: ``[B, 1, image_embed_dim]``; zeros for the unconditional branch.
            fps: frames per second ``[B]`` (or ``[1]`` for the whole batch).

        Returns:
            ``[B, 4, F, h, w]`` in the dtype of the weights.

        Raises:
            InputError: if ``x`` or ``image_embedding`` has the wrong shape, or if the levels cannot halve the size.
        """
        expected = (x.shape[0], 1, self.image_embed_dim)
        if tuple(image_embedding.shape) != expected:
            raise InputError(
                f"'image_embedding' must be {list(expected)} for latents of batch {x.shape[0]}, found "
                f'{list(image_embedding.shape)}.'
            )
        embedding = self._embed(t, self.time_embedding) + self._embed(fps, self.fps_embedding)
        tokens = self.image_projection(image_embedding)
        context = tokens.reshape(x.shape[0], self.num_image_tokens, self.config.context_dim)
        return self.trunk(x, embedding, context)
