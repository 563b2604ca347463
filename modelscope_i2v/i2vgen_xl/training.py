"""How the second generation is trained: on a clip's text, the embedding of its first frame and that frame's latents."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.metrics.embeddings import Encoder
from modelscope_i2v.metrics.image_encoder import image_encoder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size
from modelscope_i2v.training.data.clips import Clip, to_pixels
from modelscope_i2v.training.stages import StageTraining


class I2VGenXLTraining(StageTraining):
    """The second generation: conditioned on a clip's text and on its first frame.

    A condition holds the text features and the image embedding, end to end. The latents of the first frame are those of
    the clip itself, and are never dropped.
    """

    stage = I2VGEN_XL
    takes_fps = True

    @torch.no_grad()
    def condition(self, clip: Clip) -> torch.Tensor:
        return _packed(self.model.encode_text(clip.text), self.model.encode_image(self._pixel_values(clip)))

    @torch.no_grad()
    def unconditional(self) -> torch.Tensor:
        text = self.model.encode_text('')
        return _packed(text, torch.zeros(1, 1, self._embed_dim, device=text.device))

    def conditions(self, condition: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, ...]:
        text, embedding = condition[..., : -self._embed_dim], condition[..., -self._embed_dim :]
        return text.reshape(len(clean), -1, self.model.configuration.unet.context_dim), embedding, clean[:, :, 0]

    def generate(self, clip: Clip, **arguments: Any) -> torch.Tensor:
        height, width = clip.frames.shape[1:3]
        resolved = self.resolve({'text': clip.text, 'height': height, 'width': width, 'fps': clip.fps, **arguments})
        frame = to_pixels(clip.frames[:1])
        return self._decoded(self.model(self._pixel_values(clip), frame, resolved)['latents'])

    def reference(self, clip: Clip) -> dict[str, Any]:
        return {'image': Image.fromarray(clip.frames[0])}

    def image_encoder(self) -> Encoder:
        return image_encoder(self.model.clip.image, clip_image_size(self.model.configuration.clip))

    @property
    def _embed_dim(self) -> int:
        return int(self.model.configuration.unet.image_embed_dim)

    def _pixel_values(self, clip: Clip) -> torch.Tensor:
        first = Image.fromarray(clip.frames[0])
        side = clip_image_size(self.model.configuration.clip)
        return pixel_values(first, side, 'crop', IMAGE_MEAN, IMAGE_STD, cropped=first.width)


def _packed(text: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
    """Text features ``[1, L, C]`` and an image embedding ``[1, 1, E]`` -> ``[1, L * C + E]``."""
    return torch.cat([text.flatten(), embedding.flatten()]).unsqueeze(0)
