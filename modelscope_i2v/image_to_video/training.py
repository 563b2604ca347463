"""How stage 1 is trained: on the embedding of a clip's first frame."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.metrics.embeddings import Encoder
from modelscope_i2v.metrics.image_encoder import image_encoder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size
from modelscope_i2v.training.data.clips import Clip
from modelscope_i2v.training.stages import StageTraining


class ImageToVideoTraining(StageTraining):
    """Stage 1: conditioned on the embedding of a clip's first frame."""

    stage = IMAGE_TO_VIDEO
    takes_fps = True

    def condition(self, clip: Clip) -> torch.Tensor:
        embedding: torch.Tensor = self.model.encode_image(self._pixel_values(clip))
        return embedding[0]

    def unconditional(self) -> torch.Tensor:
        return torch.zeros(1, self.model.configuration.unet.image_embed_dim)

    def generate(self, clip: Clip, **arguments: Any) -> torch.Tensor:
        height, width = clip.frames.shape[1:3]
        resolved = self.resolve({'height': height, 'width': width, 'fps': clip.fps, **arguments})
        return self._decoded(self.model(self._pixel_values(clip), resolved)['latents'])

    def reference(self, clip: Clip) -> dict[str, Any]:
        return {'image': Image.fromarray(clip.frames[0])}

    def image_encoder(self) -> Encoder:
        return image_encoder(self.model.clip, clip_image_size(self.model.configuration.clip))

    def _pixel_values(self, clip: Clip) -> torch.Tensor:
        side = clip_image_size(self.model.configuration.clip)
        return pixel_values(Image.fromarray(clip.frames[0]), side, 'crop', IMAGE_MEAN, IMAGE_STD)
