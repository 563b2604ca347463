"""What both generations of image-to-video share: the trunk, conditioned on an image embedding and a frame rate."""

from __future__ import annotations

from typing import Any

import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.networks.layers import EmbeddingMLP
from modelscope_i2v.networks.parameters import ImageToVideoUNetParameters
from modelscope_i2v.networks.unet import SpatioTemporalUNet


class ImageConditionedUNet(SpatioTemporalUNet):
    """The trunk with an embedding of the frame rate, and context tokens of a CLIP image embedding.

    Args:
        extra_channels: see :class:`~modelscope_i2v.networks.unet.SpatioTemporalUNet`.
        **unet: the fields of :class:`~modelscope_i2v.networks.parameters.ImageToVideoUNetParameters`.

    Raises:
        ConfigurationError: for an impossible parameter.
    """

    def __init__(self, *, extra_channels: int = 0, **unet: Any) -> None:
        parameters = ImageToVideoUNetParameters(**unet)
        super().__init__(parameters, extra_channels)
        self.image_embed_dim = parameters.image_embed_dim
        self.num_image_tokens = parameters.num_image_tokens
        hidden_dim = parameters.time_embed_dim
        self.fps_embedding = EmbeddingMLP(parameters.model_channels, hidden_dim, hidden_dim)
        self.image_projection = EmbeddingMLP(
            parameters.image_embed_dim, hidden_dim, parameters.num_image_tokens * parameters.context_dim
        )

    def time_and_fps(self, t: torch.Tensor, fps: torch.Tensor) -> torch.Tensor:
        """The sum of the embeddings of timesteps ``[B]`` and frame rates ``[B]`` or ``[1]``: ``[B, E]``."""
        return self._embed(t, self.time_embedding) + self._embed(fps, self.fps_embedding)

    def global_tokens(self, image_embedding: torch.Tensor) -> torch.Tensor:
        """``[B, 1, image_embed_dim]`` -> context tokens ``[B, num_image_tokens, context_dim]``."""
        tokens = self.image_projection(image_embedding)
        out: torch.Tensor = tokens.reshape(-1, self.num_image_tokens, self.config.context_dim)
        return out

    def check_image_embedding(self, image_embedding: torch.Tensor, batch: int) -> None:
        """Raise InputError unless ``image_embedding`` is ``[batch, 1, image_embed_dim]``."""
        check_condition('image_embedding', image_embedding, (batch, 1, self.image_embed_dim))


def check_condition(name: str, condition: torch.Tensor, expected: tuple[int, ...]) -> None:
    """Raise InputError unless ``condition`` has the ``expected`` shape, whose first side is the batch."""
    if tuple(condition.shape) != expected:
        raise InputError(
            f"'{name}' must be {list(expected)} for latents of batch {expected[0]}, found {list(condition.shape)}."
        )
