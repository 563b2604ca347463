"""How each stage turns a clip into what its UNet is trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from PIL import Image

from modelscope_i2v.diffusion.schedules import NUM_TRAIN_TIMESTEPS
from modelscope_i2v.generation.arguments import (
    GenerationArguments,
    ImageToVideoArguments,
    VideoToVideoArguments,
    merge_arguments,
)
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.metrics.embeddings import Encoder
from modelscope_i2v.metrics.image_encoder import image_encoder, load_image_encoder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, VIDEO_TO_VIDEO, Stage
from modelscope_i2v.training.data.clips import Clip, to_pixels
from modelscope_i2v.training.data.latent_cache import EncodedClip
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.objective import Objective


class TrainableStage(ABC):
    """A loaded model seen from training: its frozen encoders, its objective and a way to try it.

    Args:
        model: an ``ImageToVideoModel`` or a ``VideoToVideoModel``.
    """

    stage: ClassVar[Stage]
    arguments: ClassVar[type[GenerationArguments]]
    takes_fps: ClassVar[bool]

    def __init__(self, model: Any) -> None:
        self.model = model

    @abstractmethod
    def condition(self, clip: Clip) -> torch.Tensor:
        """What the UNet is conditioned on, ``[1, E]`` or ``[L, C]``."""

    @abstractmethod
    def unconditional(self) -> torch.Tensor:
        """What stands for no condition."""

    @abstractmethod
    def generate(self, clip: Clip, **arguments: Any) -> torch.Tensor:
        """A video for a clip's condition (stage 2: and its frames): ``[F, 3, H, W]`` float32 in 0..1 on the CPU."""

    @abstractmethod
    def reference(self, clip: Clip) -> dict[str, Any]:
        """What a generated video is held against, as arguments of :func:`~modelscope_i2v.metrics.evaluate`."""

    @torch.no_grad()
    def encode(self, clip: Clip) -> EncodedClip:
        """Posterior and condition of ``clip``."""
        frames = to_pixels(clip.frames)
        parts = frames.split(self.model.frames_at_a_time(frames.shape[-2] * frames.shape[-1]))
        encoded = [self.model.autoencoder.encode(part.to(self.model.device)) for part in parts]
        mean, logvar = (torch.cat(tensors).transpose(0, 1) for tensors in zip(*encoded, strict=True))
        return EncodedClip.of(mean, logvar, self.condition(clip), clip.fps)

    def objective(self, *, offset_noise: float, conditioning_dropout: float) -> Objective:
        """The loss of the UNet."""
        return Objective(
            schedule=self.model.schedule,
            unconditional=self.unconditional(),
            scale_factor=self.model.configuration.autoencoder.scale_factor,
            takes_fps=self.takes_fps,
            offset_noise=offset_noise,
            conditioning_dropout=conditioning_dropout,
            num_timesteps=self.num_timesteps(),
        )

    def num_timesteps(self) -> int:
        """How many of the 1000 timesteps generation visits."""
        return NUM_TRAIN_TIMESTEPS

    def image_encoder(self) -> Encoder:
        """What tells how much frames resemble a picture; stage 2, which has no image tower, takes the embedded one."""
        return load_image_encoder(device=str(self.model.device))

    def fingerprint(self) -> str:
        """Of the encoders, which are frozen: what a latent cache depends on."""
        return fingerprint(self.model.configuration, self.model.clip, self.model.autoencoder)

    def resolve(self, arguments: dict[str, Any]) -> Any:
        """The arguments of a call; InputError unless the networks can take them."""
        resolved = merge_arguments(self.arguments, self.model.call_defaults(), arguments)
        self.model.check_arguments(resolved)
        return resolved

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.cat([chunk.float().cpu() for chunk in self.model.decode(latents)]).add(1).div(2).clamp(0, 1)


class ImageToVideoStage(TrainableStage):
    """Stage 1: conditioned on the embedding of a clip's first frame."""

    stage = IMAGE_TO_VIDEO
    arguments = ImageToVideoArguments
    takes_fps = True

    def condition(self, clip: Clip) -> torch.Tensor:
        return self.model.encode_image(self._pixel_values(clip))[0]

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


class VideoToVideoStage(TrainableStage):
    """Stage 2: conditioned on a clip's text, with the words around it that generation adds too.

    It learns to denoise what the clips show, up to the noise level that generation starts at. What a video lacks that
    it is given (see ``source`` of :class:`~modelscope_i2v.training.objective.Objective`) has no part in this.
    """

    stage = VIDEO_TO_VIDEO
    arguments = VideoToVideoArguments
    takes_fps = False

    @torch.no_grad()
    def condition(self, clip: Clip) -> torch.Tensor:
        return self.model.encode_text(clip.text, self.model.configuration.positive_prompt)[0]

    @torch.no_grad()
    def unconditional(self) -> torch.Tensor:
        return self.model.encode_text('')[0]

    def generate(self, clip: Clip, **arguments: Any) -> torch.Tensor:
        resolved = self.resolve({'text': clip.text, **arguments})
        return self._decoded(self.model(iter(to_pixels(clip.frames)), resolved)['latents'])

    def reference(self, clip: Clip) -> dict[str, Any]:
        return {'source': open_video(clip.frames)}

    def num_timesteps(self) -> int:
        return int(self.resolve({}).noise_level)


STAGES: tuple[type[TrainableStage], ...] = (ImageToVideoStage, VideoToVideoStage)
