"""How a stage is trained: its encoders turn clips into the latents and conditions that the UNet learns from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.autoencoder_memory import frames_at_a_time
from modelscope_i2v.metrics.embeddings import Encoder
from modelscope_i2v.metrics.image_encoder import load_image_encoder
from modelscope_i2v.stage import Stage
from modelscope_i2v.terms import NUM_TRAIN_TIMESTEPS
from modelscope_i2v.training.data.clips import Clip, to_pixels
from modelscope_i2v.training.data.latent_cache import EncodedClip
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.objective import Objective, condition_alone


class StageTraining(ABC):
    """A loaded model as training needs it: frozen encoders, the objective, and a way to generate samples.

    Args:
        model: a model of the stage.
    """

    stage: ClassVar[Stage]
    takes_fps: ClassVar[bool]

    def __init__(self, model: Any) -> None:
        self.model = model

    @abstractmethod
    def condition(self, clip: Clip) -> torch.Tensor:
        """The condition of the UNet for ``clip``, ``[1, E]`` or ``[L, C]``, which the latent cache keeps."""

    @abstractmethod
    def unconditional(self) -> torch.Tensor:
        """The condition that stands for 'no condition', of the same shape."""

    def conditions(self, condition: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the UNet takes beside the latents and the timestep: see :class:`Objective`."""
        return condition_alone(condition, clean)

    @abstractmethod
    def generate(self, clip: Clip, **arguments: Any) -> torch.Tensor:
        """Generate a video from a clip's condition (stage 2: and its frames): CPU float32 ``[F, 3, H, W]`` in 0..1."""

    @abstractmethod
    def reference(self, clip: Clip) -> dict[str, Any]:
        """What a generated video is compared with, as arguments of :func:`~modelscope_i2v.metrics.evaluate`."""

    @torch.no_grad()
    def encode(self, clip: Clip) -> EncodedClip:
        """The posterior and the condition of ``clip``."""
        frames = to_pixels(clip.frames)
        parts = torch.split(frames, frames_at_a_time(frames.shape[-2] * frames.shape[-1]))
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
            conditions=self.conditions,
            offset_noise=offset_noise,
            conditioning_dropout=conditioning_dropout,
            num_timesteps=self.num_timesteps(),
        )

    def num_timesteps(self) -> int:
        """How many of the 1000 timesteps generation uses, counted from the least noisy one."""
        return NUM_TRAIN_TIMESTEPS

    def image_encoder(self) -> Encoder:
        """The encoder for similarity metrics. This one is of the embedded model, for stages without an image tower."""
        return load_image_encoder(device=str(self.model.device))

    def fingerprint(self) -> str:
        """The fingerprint of the frozen encoders, on which the latent cache depends."""
        return fingerprint(self.model.configuration, self.model.clip, self.model.autoencoder)

    def resolve(self, arguments: dict[str, Any]) -> Any:
        """The full arguments of a call; raises InputError if the networks cannot take them."""
        resolved = merge_arguments(self.stage.arguments, self.model.call_defaults(), arguments)
        self.model.check_arguments(resolved)
        return resolved

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.cat([chunk.float().cpu() for chunk in self.model.decode(latents)]).add(1).div(2).clamp(0, 1)
