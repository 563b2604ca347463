"""Stage 1's model: from a picture's CLIP embedding to latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from modelscope.models.builder import MODELS

from modelscope_i2v.diffusion import (
    leading_timesteps,
    sample_ddim,
    sample_dpmpp_2m,
    sample_euler,
    sample_unipc,
    scaled_linear_schedule,
    trailing_timesteps,
)
from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.generation.arguments import ImageToVideoArguments
from modelscope_i2v.generation.configuration import ImageToVideoConfiguration, parse_image_to_video
from modelscope_i2v.generation.model import GenerationModel, check_latents_shape
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO

DETERMINISTIC_SAMPLERS = {'dpmpp_2m': sample_dpmpp_2m, 'unipc': sample_unipc, 'euler': sample_euler}


@MODELS.register_module(IMAGE_TO_VIDEO.task, module_name=IMAGE_TO_VIDEO.model, force=True)
class ImageToVideoModel(GenerationModel):
    """CLIP's image tower, the UNet and the autoencoder of stage 1; see :class:`GenerationModel` for the arguments."""

    schedule = scaled_linear_schedule()
    configuration: ImageToVideoConfiguration

    def parse_configuration(self, section: Any, file: Path) -> ImageToVideoConfiguration:
        return parse_image_to_video(section, file)

    def check_arguments(self, arguments: ImageToVideoArguments) -> None:
        """Raise InputError unless the sizes fit the networks, and given latents the sizes."""
        super().check_arguments(arguments)
        check_latents_shape(arguments.latents, self._latents_shape(arguments))

    def encode_image(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """``[B, 3, S, S]`` normalised -> image embedding ``[B, 1, image_embed_dim]``."""
        return self.clip(pixel_values.to(self.device, self.dtype)).unsqueeze(1)

    def initial_latents(self, arguments: ImageToVideoArguments, generator: torch.Generator) -> torch.Tensor:
        """Noise float32 ``[1, 4, F, h, w]`` on the CPU, part of it shared by all pixels of a frame ("offset noise").

        Two draws, in this order; they are made even if the caller brings latents, so that later draws do not shift.
        """
        shape = self._latents_shape(arguments)
        noise = torch.randn(shape, generator=generator)
        offset = torch.randn((*shape[:3], 1, 1), generator=generator)
        return noise + arguments.noise_strength * offset

    def sigmas(self, arguments: ImageToVideoArguments) -> torch.Tensor:
        """The noise levels to visit, float64 ``[steps + 1]``; "leading" ends at timestep 0, "trailing" at no noise."""
        steps = int(arguments.steps or 0)
        if arguments.timestep_spacing == 'leading':
            return self.schedule.sigma([*leading_timesteps(steps), 0])
        return torch.cat([self.schedule.sigma(trailing_timesteps(steps)), torch.zeros(1, dtype=torch.float64)])

    @torch.no_grad()
    def forward(
        self,
        pixel_values: torch.Tensor,
        arguments: ImageToVideoArguments | None = None,
        callback: Callback | None = None,
    ) -> dict[str, torch.Tensor]:
        """Generate latents for the picture ``pixel_values`` ``[1, 3, S, S]``.

        Args:
            arguments: of the call; None takes the configuration's.
            callback: called after each step; its ``x`` is in the sampler's scale.

        Returns:
            ``{'latents': [1, 4, F, h, w]}``, float32.

        Raises:
            InputError: for arguments that contradict each other.
        """
        arguments = arguments or ImageToVideoArguments(**self.call_defaults())
        generator = torch.Generator().manual_seed(int(arguments.seed or 0))
        noise = self.initial_latents(arguments, generator)
        latents = (noise if arguments.latents is None else arguments.latents).to(self.device)
        embedding = self.encode_image(pixel_values)
        fps = torch.tensor([arguments.fps], device=self.device)
        denoiser = self.denoiser(
            self.network(embedding, fps), self.network(torch.zeros_like(embedding), fps), arguments
        )
        sigmas = self.sigmas(arguments)
        x = latents / signal_scale(sigmas[0]).float().to(self.device)
        if arguments.solver == 'ddim':
            x = sample_ddim(
                denoiser,
                x,
                sigmas,
                eta=arguments.eta,
                noise=lambda _: torch.randn(noise.shape, generator=generator).to(self.device),
                callback=callback,
            )
        else:
            x = DETERMINISTIC_SAMPLERS[str(arguments.solver)](denoiser, x, sigmas, callback=callback)
        return {'latents': x * signal_scale(sigmas[-1]).float().to(self.device)}

    def _latents_shape(self, arguments: ImageToVideoArguments) -> tuple[int, ...]:
        factor = self.configuration.autoencoder.downsampling_factor
        sizes = (arguments.num_frames, (arguments.height or 0) // factor, (arguments.width or 0) // factor)
        return (1, self.configuration.unet.in_channels, *(int(size or 0) for size in sizes))
