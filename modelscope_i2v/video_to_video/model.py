"""Stage 2's model: a video is encoded, noised, and denoised again, guided by text (SDEdit).

Meng et al. 2022, "SDEdit", arXiv 2108.01073.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch
from modelscope.models.builder import MODELS

from modelscope_i2v.diffusion import temporal_windows
from modelscope_i2v.diffusion.denoiser import denoiser_on
from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.generation.memory_check import MAIN_MEMORY
from modelscope_i2v.generation.model import GenerationModel, check_latents_shape
from modelscope_i2v.generation.prompt_tokens import build_tokenizer, prompt_tokens
from modelscope_i2v.video_to_video.arguments import VideoToVideoArguments
from modelscope_i2v.video_to_video.configuration import VideoToVideoConfiguration
from modelscope_i2v.video_to_video.sigmas import SCHEDULE, sigmas_of, start_scale
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO


@MODELS.register_module(VIDEO_TO_VIDEO.task, module_name=VIDEO_TO_VIDEO.model, force=True)
class VideoToVideoModel(GenerationModel):
    """CLIP's text tower, the UNet and the autoencoder of stage 2; see :class:`GenerationModel` for the arguments."""

    stage = VIDEO_TO_VIDEO
    schedule = SCHEDULE
    configuration: VideoToVideoConfiguration

    @cached_property
    def tokenizer(self) -> Any:
        """From text to token ids."""
        return build_tokenizer(self.clip.context_length)

    def encode_text(self, text: str, suffix: str = '') -> torch.Tensor:
        """Features ``[1, L, context_dim]`` of ``text`` followed by ``suffix``."""
        with self.computing(self.clip):
            out: torch.Tensor = self.clip(prompt_tokens(self.tokenizer, text, suffix).to(self.device))
            return out

    @torch.no_grad()
    def forward(
        self,
        frames: Iterable[torch.Tensor],
        arguments: VideoToVideoArguments | None = None,
        callback: Callback | None = None,
    ) -> dict[str, torch.Tensor]:
        """Generate the latents of a sharper video.

        Args:
            frames: ``[3, H, W]`` float32 in [-1, 1], all of one legal size.
            arguments: the arguments of the call; None takes the configuration's defaults.
            callback: called after each step; its ``x`` is in the sampler's scale.

        Returns:
            ``{'latents': [1, 4, F, h, w]}``, float32.

        Raises:
            InputError: if there are no frames, or arguments contradict each other.
        """
        arguments = arguments or VideoToVideoArguments(**self.call_defaults())
        generator = arguments.generator()
        clean = self.encode_frames(frames, generator, draw_only=arguments.latents is not None)
        check_latents_shape(arguments.latents, tuple(clean.shape))
        num_frames = clean.shape[2]
        # The latents of a long video stay in main memory. The device gets those of a window at a time.
        place = self.device if num_frames <= self.configuration.max_frames else MAIN_MEMORY
        clean = clean.to(place)
        noise = torch.randn(clean.shape, generator=generator).to(place)
        start = arguments.noise_level - 1
        noised = self.schedule.alphas[start].item() * clean + self.schedule.sigmas_vp[start].item() * noise
        if arguments.latents is not None:
            noised = arguments.latents.to(place)
        sigmas = sigmas_of(self.schedule, arguments)
        x = noised * start_scale(sigmas[0].item(), arguments.noise_level)
        del clean, noise, noised  # each is as large as the latents
        with self.computing(self.clip):  # once for all
            text = self.encode_text(arguments.text, self.configuration.positive_prompt)
            negative = self.encode_text(arguments.negative_prompt)
        denoiser = temporal_windows(
            denoiser_on(self.device, self.denoiser((text,), (negative,), arguments)),
            num_frames,
            self.configuration.max_frames,
            self.configuration.window_overlap(arguments, num_frames),
        )
        x = self.sample(denoiser, x, sigmas, arguments, generator=generator, callback=callback)
        return {'latents': x}
