"""Stage 1's model: turns a picture's CLIP embedding into latents."""

from __future__ import annotations

import torch
from modelscope.models.builder import MODELS

from modelscope_i2v.diffusion import add_noise
from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.model import GenerationModel, check_latents_shape
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration
from modelscope_i2v.image_to_video.sigmas import SCHEDULE, sigmas_of
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO


@MODELS.register_module(IMAGE_TO_VIDEO.task, module_name=IMAGE_TO_VIDEO.model, force=True)
class ImageToVideoModel(GenerationModel):
    """CLIP's image tower, the UNet and the autoencoder of stage 1; see :class:`GenerationModel` for the arguments."""

    stage = IMAGE_TO_VIDEO
    schedule = SCHEDULE
    configuration: ImageToVideoConfiguration

    def check_arguments(self, arguments: ImageToVideoArguments) -> None:
        """Raise InputError unless the sizes fit the networks, and given latents fit the sizes if those are known."""
        super().check_arguments(arguments)
        if arguments.height is not None and arguments.width is not None:
            check_latents_shape(arguments.latents, self._latents_shape(arguments))

    def encode_image(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """``[B, 3, S, S]`` normalised -> image embedding ``[B, 1, image_embed_dim]``."""
        with self.computing(self.clip):
            out: torch.Tensor = self.clip(pixel_values.to(self.device, self.dtype)).unsqueeze(1)
            return out

    def encode_picture(self, frame: torch.Tensor) -> torch.Tensor:
        """A picture ``[1, 3, H, W]`` in [-1, 1] -> latents float32 ``[1, 4, 1, h, w]``, the mean of the posterior.

        Nothing is drawn, so that the noise of a seed does not depend on ``image_strength``.
        """
        mean, _ = self.encode(frame)
        out: torch.Tensor = self.configuration.autoencoder.scale_factor * mean.unsqueeze(2)
        return out

    def initial_latents(
        self, shape: tuple[int, ...], arguments: ImageToVideoArguments, generator: torch.Generator
    ) -> torch.Tensor:
        """Noise float32 of ``shape`` on the CPU, part of it shared by all pixels of a frame ("offset noise").

        This makes two draws, in this order, even if the caller gives latents, so that later draws do not shift.
        """
        noise = torch.randn(shape, generator=generator)
        offset = torch.randn((*shape[:3], 1, 1), generator=generator)
        return noise + arguments.noise_strength * offset

    @torch.no_grad()
    def forward(
        self,
        pixel_values: torch.Tensor,
        arguments: ImageToVideoArguments | None = None,
        callback: Callback | None = None,
        *,
        frame: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Generate latents for a picture.

        Args:
            pixel_values: the picture as CLIP sees it, ``[1, 3, S, S]``.
            arguments: the arguments of the call; None takes the configuration's defaults.
            callback: called after each step; its ``x`` is in the sampler's scale.
            frame: the picture as a frame of the video, ``[1, 3, H, W]`` float32 in [-1, 1], of a legal size, which the
                video gets. None: the size of the arguments, or the configured one.

        Returns:
            ``{'latents': [1, 4, F, h, w]}``, float32.

        Raises:
            InputError: for arguments that contradict each other, or for an ``image_strength`` without ``frame``.
        """
        arguments = arguments or ImageToVideoArguments(**self.call_defaults())
        generator = arguments.generator()
        shape = self._latents_shape(arguments, frame)
        check_latents_shape(arguments.latents, shape)
        noise = self.initial_latents(shape, arguments, generator)
        latents = (noise if arguments.latents is None else arguments.latents).to(self.device)
        sigmas = sigmas_of(self.schedule, arguments)
        if arguments.image_strength > 0:
            if frame is None:
                raise InputError("'image_strength' needs the picture as a frame of the video. Give 'frame'.")
            latents = add_noise(self.encode_picture(frame), latents, sigmas[0])
        embedding = self.encode_image(pixel_values)
        fps = torch.tensor([arguments.fps], device=self.device)
        denoiser = self.denoiser((embedding, fps), (torch.zeros_like(embedding), fps), arguments)
        x = latents / signal_scale(sigmas[0]).float().to(self.device)
        x = self.sample(denoiser, x, sigmas, arguments, generator=generator, callback=callback)
        return {'latents': x * signal_scale(sigmas[-1]).float().to(self.device)}

    def _latents_shape(self, arguments: ImageToVideoArguments, frame: torch.Tensor | None = None) -> tuple[int, ...]:
        size = self.configuration.video_size(arguments)
        height, width = (size.height, size.width) if frame is None else frame.shape[-2:]
        if (arguments.height or height, arguments.width or width) != (height, width):
            raise InputError(
                f"'frame' has {width}x{height} pixels, but the arguments ask for {size.width}x{size.height}. "
                "Make both the same, or leave 'height' and 'width' out with fit='keep'."
            )
        self.configuration.grid.check(height, width)
        factor = self.configuration.autoencoder.downsampling_factor
        channels = self.configuration.unet.in_channels
        return 1, channels, int(arguments.num_frames or 0), height // factor, width // factor
