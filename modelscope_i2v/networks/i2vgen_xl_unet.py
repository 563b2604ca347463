"""The second generation's UNet: the trunk, conditioned on a text, on a picture's CLIP embedding and on its latents."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from modelscope_i2v.networks.attention import AttentionLayer, attention
from modelscope_i2v.networks.image_conditioned_unet import ImageConditionedUNet, check_condition
from modelscope_i2v.networks.parameters import TEXT_TOKENS, ImageToVideoUNetParameters
from modelscope_i2v.networks.unet import DeepFeatures


class PixelAttention(AttentionLayer):
    """Attention of the ``N`` frames of a pixel to each other, with two heads as wide as the input: ``[B, N, C]``."""

    num_heads = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(channels, 3 * self.num_heads * channels, bias=False)
        self.to_out = nn.Linear(self.num_heads * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = rearrange(self.to_qkv(x), 'b n (part h d) -> part b h n d', part=3, h=self.num_heads)
        # The kernels of xformers take no heads as narrow as these.
        attended = attention(query, key, value, 'math' if self.backend == 'math' else 'sdpa')
        out: torch.Tensor = self.to_out(rearrange(attended, 'b h n d -> b n (h d)'))
        return out


class ConcatEncoder(nn.Module):
    """Channels beside the latents of every frame, made from the latents of a picture.

    The picture is the first frame. The others are planes of one value, which rises from frame to frame to 1. Three
    convolutions see each frame, then an attention layer without positions and an MLP mix the frames of each pixel::

        picture        B C h w
                           |  followed by planes
        convolutions   (B F) C h w
        transformer    (B h w) F C
        result         B C F h w
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = 4 * channels
        self.conv_1 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_3 = nn.Conv2d(width, channels, 3, padding=1)
        self.norm = nn.LayerNorm(channels)
        self.attention = PixelAttention(channels)
        self.mlp_in = nn.Linear(channels, width)
        self.mlp_out = nn.Linear(width, channels)

    def forward(self, image_latents: torch.Tensor, num_frames: int) -> torch.Tensor:
        height = image_latents.shape[2]
        frames = self.conv_3(F.silu(self.conv_2(F.silu(self.conv_1(self._frames(image_latents, num_frames))))))
        pixels = rearrange(frames, '(b f) c h w -> (b h w) f c', f=num_frames)
        pixels = pixels + self.attention(self.norm(pixels))
        pixels = pixels + self.mlp_out(F.gelu(self.mlp_in(pixels)))
        video: torch.Tensor = rearrange(pixels, '(b h w) f c -> b c f h w', b=len(image_latents), h=height)
        # The original adds this branch to itself, and was trained so.
        return 2 * video

    @staticmethod
    def _frames(image_latents: torch.Tensor, num_frames: int) -> torch.Tensor:
        """The picture and the planes after it: ``[B, C, h, w] -> [(B F), C, h, w]``."""
        position = torch.linspace(0, 1, num_frames, device=image_latents.device).to(image_latents.dtype)[1:]
        planes = position.view(1, -1, 1, 1, 1).expand(len(image_latents), -1, *image_latents.shape[1:])
        return torch.cat([image_latents.unsqueeze(1), planes], dim=1).flatten(0, 1)


class LocalTokenEncoder(nn.Module):
    """Context tokens that say what is where in a picture: its latents ``[B, C, h, w] -> [B, L, context_dim]``.

    The features are pooled to a square whose side is the square root of ``context_dim``, then halved twice: 8x8 = 64
    tokens in the real network, row by row, whatever the size of the picture.
    """

    def __init__(self, channels: int, context_dim: int) -> None:
        super().__init__()
        self.side = math.isqrt(context_dim)
        self.conv_1 = nn.Conv2d(channels, 8 * channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(8 * channels, 16 * channels, 3, stride=2, padding=1)
        self.conv_3 = nn.Conv2d(16 * channels, context_dim, 3, stride=2, padding=1)

    def forward(self, image_latents: torch.Tensor) -> torch.Tensor:
        pooled = F.adaptive_avg_pool2d(F.silu(self.conv_1(image_latents)), self.side)
        out: torch.Tensor = rearrange(self.conv_3(F.silu(self.conv_2(pooled))), 'b c h w -> b (h w) c')
        return out


class I2VGenXLUNet(ImageConditionedUNet):
    """The second generation of image-to-video: conditioned on a text, a picture and a frame rate.

    Unlike the first one, it is given the latents of the picture: as further channels of its input (:meth:`concat`), and
    as context tokens (:meth:`local_tokens`). Zhang et al. 2023, arXiv 2311.04145.

    Args:
        **unet: the fields of :class:`~modelscope_i2v.networks.parameters.ImageToVideoUNetParameters`.

    Raises:
        ConfigurationError: for an impossible parameter.
    """

    def __init__(self, **unet: Any) -> None:
        channels = ImageToVideoUNetParameters(**unet).in_channels
        super().__init__(extra_channels=channels, **unet)
        self.concat_encoder = ConcatEncoder(channels)
        self.local_token_encoder = LocalTokenEncoder(channels, self.config.context_dim)

    def empty_conditions(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        text = x.new_empty(len(x), TEXT_TOKENS, self.config.context_dim)
        return text, x.new_empty(len(x), 1, self.image_embed_dim), x[:, :, 0], x.new_empty(len(x))

    def concat(self, image_latents: torch.Tensor, num_frames: int) -> torch.Tensor:
        """Latents of the picture ``[B, C, h, w]`` -> channels beside those of the video ``[B, C, F, h, w]``."""
        out: torch.Tensor = self.concat_encoder(image_latents.to(self.dtype), num_frames)
        return out

    def local_tokens(self, image_latents: torch.Tensor) -> torch.Tensor:
        """Latents of the picture ``[B, C, h, w]`` -> context tokens ``[B, L, context_dim]``; 64 in the real network."""
        out: torch.Tensor = self.local_token_encoder(image_latents.to(self.dtype))
        return out

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        text_features: torch.Tensor,
        image_embedding: torch.Tensor,
        image_latents: torch.Tensor,
        fps: torch.Tensor,
        deep: DeepFeatures | None = None,
    ) -> torch.Tensor:
        """Predict v.

        Args:
            x: noisy latents ``[B, C, F, h, w]``; C is ``in_channels``, 4 in the real network.
            t: timesteps ``[B]`` in 0..999.
            text_features: ``[B, L, context_dim]``; those of the negative prompt for the unconditional branch.
            image_embedding: ``[B, 1, image_embed_dim]``; zeros for the unconditional branch.
            image_latents: latents of the picture ``[B, C, h, w]``, for both branches.
            fps: frames per second ``[B]`` (or ``[1]`` for the whole batch).
            deep: see :meth:`~modelscope_i2v.networks.unet.SpatioTemporalUNet.trunk`.

        Returns:
            ``[B, C, F, h, w]`` in the dtype of the weights.

        Raises:
            InputError: if a tensor has the wrong shape, or if the levels cannot halve the size.
        """
        self.check_latents(x)
        batch = x.shape[0]
        check_condition('text_features', text_features, (batch, *text_features.shape[1:2], self.config.context_dim))
        self.check_image_embedding(image_embedding, batch)
        check_condition('image_latents', image_latents, (*x.shape[:2], *x.shape[3:]))
        tokens = [text_features.to(self.dtype), self.local_tokens(image_latents), self.global_tokens(image_embedding)]
        context, embedding = torch.cat(tokens, dim=1), self.time_and_fps(t, fps)
        return self.trunk(x, embedding, context, self.concat(image_latents, x.shape[2]), deep)
