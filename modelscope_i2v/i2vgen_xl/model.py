"""The second generation's model: CLIP sees the picture and the text, the UNet is given the picture's latents, too."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from modelscope.models.builder import MODELS

from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.generation.model import GenerationModel, check_latents_shape
from modelscope_i2v.generation.prompt_tokens import build_tokenizer, prompt_tokens
from modelscope_i2v.i2vgen_xl.arguments import I2VGenXLArguments
from modelscope_i2v.i2vgen_xl.configuration import I2VGenXLConfiguration
from modelscope_i2v.i2vgen_xl.sigmas import SCHEDULE, sigmas_of
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL


@MODELS.register_module(I2VGEN_XL.task, module_name=I2VGEN_XL.model, force=True)
class I2VGenXLModel(GenerationModel):
    """Both CLIP towers, the UNet and the autoencoder; see :class:`GenerationModel` for the arguments."""

    stage = I2VGEN_XL
    schedule = SCHEDULE
    configuration: I2VGenXLConfiguration

    @cached_property
    def tokenizer(self) -> Any:
        """From text to token ids."""
        return build_tokenizer(self.clip.text.context_length)

    def encode_text(self, text: str) -> torch.Tensor:
        """Features ``[1, L, context_dim]`` of ``text``."""
        with self.computing(self.clip):
            out: torch.Tensor = self.clip.text(prompt_tokens(self.tokenizer, text).to(self.device))
            return out

    def encode_image(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """``[B, 3, S, S]`` normalised -> image embedding ``[B, 1, image_embed_dim]``."""
        with self.computing(self.clip):
            out: torch.Tensor = self.clip.image(pixel_values.to(self.device, self.dtype)).unsqueeze(1)
            return out

    def initial_latents(
        self, shape: tuple[int, ...], arguments: I2VGenXLArguments, generator: torch.Generator
    ) -> torch.Tensor:
        """Noise float32 of ``shape`` on the CPU; with a ``noise_strength``, part of it is shared within a frame.

        The draw is made even if the caller gives latents, so that later draws do not shift.
        """
        noise = torch.randn(shape, generator=generator)
        if arguments.noise_strength > 0:  # the original has no second draw
            noise = noise + arguments.noise_strength * torch.randn((*shape[:3], 1, 1), generator=generator)
        return noise

    @torch.no_grad()
    def forward(
        self,
        pixel_values: torch.Tensor,
        frame: torch.Tensor,
        arguments: I2VGenXLArguments | None = None,
        callback: Callback | None = None,
    ) -> dict[str, torch.Tensor]:
        """Generate latents for a picture.

        Args:
            pixel_values: the picture as CLIP sees it, ``[1, 3, S, S]``.
            frame: the picture as a frame of the video, ``[1, 3, H, W]`` float32 in [-1, 1], of a legal size.
            arguments: the arguments of the call; None takes the configuration's defaults.
            callback: called after each step; its ``x`` is in the sampler's scale.

        Returns:
            ``{'latents': [1, C, F, h, w]}``, float32.

        Raises:
            InputError: for arguments that contradict each other.
        """
        arguments = arguments or I2VGenXLArguments(**self.call_defaults())
        generator = arguments.generator()
        image_latents = self.encode_frames(frame, generator)[:, :, 0]
        shape = (*image_latents.shape[:2], int(arguments.num_frames or 0), *image_latents.shape[2:])
        check_latents_shape(arguments.latents, shape)
        noise = self.initial_latents(shape, arguments, generator)
        latents = (noise if arguments.latents is None else arguments.latents).to(self.device)
        with self.computing(self.clip):  # once for all
            embedding = self.encode_image(pixel_values)
            text, negative = self.encode_text(arguments.text), self.encode_text(arguments.negative_prompt)
        shared = image_latents, torch.tensor([arguments.fps], device=self.device)
        denoiser = self.denoiser(
            (text, embedding, *shared),
            (negative, torch.zeros_like(embedding), *shared),
            arguments,
        )
        sigmas = sigmas_of(self.schedule, arguments)
        x = latents / signal_scale(sigmas[0]).float().to(self.device)
        x = self.sample(denoiser, x, sigmas, arguments, generator=generator, callback=callback)
        return {'latents': x * signal_scale(sigmas[-1]).float().to(self.device)}
