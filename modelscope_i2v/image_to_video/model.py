"""Stage 1's model: the three networks and the way from an image embedding to frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from modelscope.models.base import TorchModel
from modelscope.models.builder import MODELS

from modelscope_i2v.arguments import ImageToVideoArguments
from modelscope_i2v.checks import legal_size
from modelscope_i2v.configuration import FILE_NAME, naming, parse_image_to_video, parse_model_arguments
from modelscope_i2v.diffusion import (
    classifier_free_guidance,
    leading_timesteps,
    sample_ddim,
    sample_dpmpp_2m,
    sample_euler,
    sample_unipc,
    scaled_linear_schedule,
    trailing_timesteps,
    v_prediction_denoiser,
)
from modelscope_i2v.diffusion.guidance import Network
from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder, ImageToVideoUNet, set_attention_backend
from modelscope_i2v.registration import IMAGE_TO_VIDEO
from modelscope_i2v.runtime.attention import resolve_attention
from modelscope_i2v.runtime.device import resolve_device, resolve_dtype
from modelscope_i2v.runtime.progress import progress_bar
from modelscope_i2v.weights import build_on_meta, load_weights

#: Pixels decoded at a time: bounds the decoder's activations to a few frames of 448x256.
DECODED_PIXELS = 4 * 448 * 256

DETERMINISTIC_SAMPLERS = {'dpmpp_2m': sample_dpmpp_2m, 'unipc': sample_unipc, 'euler': sample_euler}


@MODELS.register_module(IMAGE_TO_VIDEO.task, module_name=IMAGE_TO_VIDEO.model, force=True)
class ImageToVideoModel(TorchModel):
    """CLIP's image tower, the UNet and the autoencoder of stage 1.

    Args:
        model_dir: the model's folder, which holds the weight files.
        device: see :func:`~modelscope_i2v.runtime.device.resolve_device`.
        dtype: ``'auto'``, ``'fp32'``, ``'fp16'`` or ``'bf16'`` for UNet and CLIP. The autoencoder stays in float32, as
            in the reference: bfloat16 has fewer levels between -1 and 1 than a pixel.
        attention: ``'auto'``, ``'sdpa'``, ``'xformers'`` or ``'math'``.
        model_args, model_cfg: sections of configuration.json.

    Raises:
        ConfigurationError, CheckpointError, DeviceError: if the folder, its weights or the device cannot be used.
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str],
        *,
        device: str | None = None,
        dtype: str = 'auto',
        attention: str = 'auto',
        model_args: Mapping[str, Any] | None = None,
        model_cfg: Mapping[str, Any] | None = None,
        show_progress: bool = True,
        **_: Any,
    ) -> None:
        super().__init__(str(model_dir))
        file = Path(model_dir) / FILE_NAME
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        self.model_args = parse_model_arguments(model_args, file)
        self.configuration = parse_image_to_video(model_cfg, file)
        self.schedule = scaled_linear_schedule()
        self._build(file)
        self._load(Path(model_dir), show_progress)
        backend = resolve_attention(attention, self.device, self.dtype)
        set_attention_backend(self.unet, backend)
        set_attention_backend(self.autoencoder, 'math' if backend == 'math' else 'sdpa')
        self.eval()
        self.requires_grad_(False)

    def _build(self, file: Path) -> None:
        configuration = self.configuration
        with naming(file, 'model.model_cfg'):
            self.clip = build_on_meta(lambda: ClipImageEncoder(configuration.clip))
        if self.clip.embed_dim != configuration.unet.image_embed_dim:
            raise ConfigurationError(
                f"'{file}': 'unet.image_embed_dim' is {configuration.unet.image_embed_dim}, but 'clip' gives "
                f'embeddings of {self.clip.embed_dim}. Make them equal.'
            )
        self.unet = build_on_meta(lambda: ImageToVideoUNet(**asdict(configuration.unet)))
        self.autoencoder = build_on_meta(lambda: AutoencoderKL(**asdict(configuration.autoencoder)))

    def _load(self, folder: Path, show_progress: bool) -> None:
        parts = (
            (self.clip, self.model_args.ckpt_clip, self.dtype),
            (self.unet, self.model_args.ckpt_unet, self.dtype),
            (self.autoencoder, self.model_args.ckpt_autoencoder, torch.float32),
        )
        with progress_bar('Loading weights', len(parts), show=show_progress) as bar:
            for network, name, dtype in parts:
                load_weights(network, folder / name, dtype=dtype).to(self.device)
                bar.update()

    def check_arguments(self, arguments: ImageToVideoArguments) -> None:
        """Raise InputError unless the sizes fit the networks, and given latents the sizes."""
        factor = self.configuration.autoencoder.downsampling_factor
        for name in ('height', 'width'):
            legal_size(name, getattr(arguments, name), factor * self.configuration.unet.downsampling_factor)
        shape = self._latents_shape(arguments)
        if arguments.latents is not None and tuple(arguments.latents.shape) != shape:
            raise InputError(
                f"'latents' must have the shape {list(shape)} for these num_frames, height and width, found "
                f'{list(arguments.latents.shape)}.'
            )

    def _latents_shape(self, arguments: ImageToVideoArguments) -> tuple[int, int, int, int, int]:
        factor = self.configuration.autoencoder.downsampling_factor
        sizes = (arguments.num_frames, (arguments.height or 0) // factor, (arguments.width or 0) // factor)
        return (1, self.configuration.unet.in_channels, *(int(size or 0) for size in sizes))  # type: ignore[return-value]

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
        arguments = arguments or ImageToVideoArguments(**self.configuration.call_defaults(), seed=self.model_args.seed)
        generator = torch.Generator().manual_seed(int(arguments.seed or 0))
        noise = self.initial_latents(arguments, generator)
        latents = (noise if arguments.latents is None else arguments.latents).to(self.device)
        image_embedding = self.encode_image(pixel_values)
        guided = classifier_free_guidance(
            self._network(image_embedding, arguments.fps),
            self._network(torch.zeros_like(image_embedding), arguments.fps),
            guidance_scale=arguments.guidance_scale,
            guidance_rescale=arguments.guidance_rescale,
        )
        denoiser = v_prediction_denoiser(guided, self.schedule)
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

    def _network(self, image_embedding: torch.Tensor, fps: float) -> Network:
        rate = torch.tensor([fps], device=self.device)

        def predict(latents: torch.Tensor, timestep: int) -> torch.Tensor:
            t = torch.tensor([timestep], device=self.device)
            return self.unet(latents, t, image_embedding, rate).float()

        return predict

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> Iterator[torch.Tensor]:
        """Latents ``[1, 4, F, h, w]`` -> frames ``[n, 3, H, W]`` float32, nominally in [-1, 1], a few at a time."""
        frames = latents[0].transpose(0, 1) / self.configuration.autoencoder.scale_factor
        pixels = frames.shape[-2] * frames.shape[-1] * self.configuration.autoencoder.downsampling_factor**2
        for chunk in frames.split(max(1, DECODED_PIXELS // pixels)):
            yield self.autoencoder.decode(chunk.to(self.autoencoder.post_quant_conv.weight.dtype)).float()
