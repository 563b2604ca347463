"""What every stage's model shares: building and loading the networks, encoding, guided denoising, decoding."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelscope_i2v.diffusion import NoiseSchedule
from modelscope_i2v.diffusion.deep_cache import DeepNetwork
from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.guidance import Network
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.generation.autoencoder_memory import Portion, portion
from modelscope_i2v.generation.denoising import guided_denoiser
from modelscope_i2v.generation.finite import DECODING, ENCODING
from modelscope_i2v.generation.placement import PlacedModel
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.unet import DeepFeatures
from modelscope_i2v.runtime.compilation import Compiled
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.fp8 import rest_in_fp8
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.runtime.progress import progress_bar
from modelscope_i2v.weights import load_weights
from modelscope_i2v.weights.lora.apply import Lora, add_to_weights, check_lora, read_lora

logger = logging.getLogger(__name__)

FP8_CHANGES_NUMBERS = "The weights of '%s' rest in fp8, which changes numbers: a seed gives another video than without."
ANOTHER_DEVICE = "Use another device, memory='low', or dtype='fp16' or 'bf16'."


class GenerationModel(PlacedModel):
    """A CLIP tower, a UNet and the autoencoder. A subclass sets the stage and how they are conditioned.

    Args:
        model_dir: the model's folder, which holds the weight files, as a path or already read.
        device: see :func:`~modelscope_i2v.runtime.device.resolve_device`.
        dtype: ``'auto'``, ``'fp32'``, ``'fp16'`` or ``'bf16'`` for UNet and CLIP.
        attention: ``'auto'``, ``'sdpa'``, ``'xformers'`` or ``'math'``.
        compile: whether to compile the blocks of the UNet: the first step then takes minutes, the others less time.
            Each block is compiled once for every size of the video. The last bits of results may differ.
        lora: a file that :func:`~modelscope_i2v.training.lora.save_lora` wrote; it is added to the weights of the UNet.
        lora_scale: LoRA strength, -100..100; 0 changes nothing.
        autoencoder_dtype: ``'fp32'``, as in the original, ``'fp16'`` or ``'bf16'``. Half precision takes half the
            memory and is faster on GPUs. bfloat16 has fewer levels between -1 and 1 than a pixel has.
        memory: ``'full'``, ``'offload'``, ``'low'``, a limit such as ``'6GB'``, or ``'auto'``: how far to spare the
            memory of the device. Below ``'full'``, networks are on the device only within :meth:`computing`.
        weights_dtype: ``'fp8'`` for weights of UNet and CLIP that rest in eight bits, and are cast layer by layer when
            they compute: half the bytes of half precision, and other videos. A LoRA is added before. Such weights
            cannot be saved.
        execution: all of these but the LoRA, already resolved; it overrides them.
        model_args, model_cfg: sections of configuration.json that ModelScope passes in; None reads the file.

    Raises:
        ConfigurationError, CheckpointError, DeviceError: if the folder, its weights or the device cannot be used.
        InputError: if ``lora`` is not a path or ``lora_scale`` is not such a number.
    """

    schedule: NoiseSchedule

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | ModelFolder,
        *,
        device: str | int | torch.device | None = None,
        dtype: str | torch.dtype | None = 'auto',
        attention: str | None = 'auto',
        compile: bool | None = None,
        lora: str | os.PathLike[str] | None = None,
        lora_scale: float | None = None,
        autoencoder_dtype: str | torch.dtype | None = 'fp32',
        memory: str | None = 'full',
        weights_dtype: str | torch.dtype | None = None,
        execution: Execution | None = None,
        model_args: Mapping[str, Any] | None = None,
        model_cfg: Mapping[str, Any] | None = None,
        show_progress: bool = True,
        **_: Any,
    ) -> None:
        if model_args is not None and not isinstance(model_dir, ModelFolder):
            content = {'model': {'model_args': model_args, 'model_cfg': model_cfg}}
            folder = ModelFolder.parse(model_dir, self.stage, content)
        else:
            folder = ModelFolder.of(model_dir, self.stage)
        scale = check_lora(lora, lora_scale)
        if execution is None:
            execution = Execution.resolve(device, dtype, attention, compile, autoencoder_dtype, memory, weights_dtype)
            execution.announce()
        networks = folder.build_networks()
        super().__init__(folder, networks, execution)
        self.model_args = folder.arguments
        self.lora = None if lora is None else Path(lora).name
        self.lora_scale = scale
        # Check the LoRA before minutes of loading.
        change = None if lora is None else read_lora(self.unet, lora, key=self.stage.lora_key)
        with memory_errors(ANOTHER_DEVICE):
            self._load(networks, change, show_progress)
        if self.execution.compiled:
            self.unet.run_block = Compiled(self.unet.run_block)
        self.eval()
        self.requires_grad_(False)

    def check_arguments(self, arguments: Any) -> None:
        """Raise InputError unless the arguments fit the networks."""
        self.configuration.check_call(arguments)

    def call_defaults(self) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        return self.folder.call_defaults()

    def network(self, *conditions: torch.Tensor) -> Network:
        """The UNet with its conditions bound; it maps float32 to float32."""

        def predict(latents: torch.Tensor, timestep: int) -> torch.Tensor:
            t = torch.full((len(latents),), timestep, device=self.device)
            predicted: torch.Tensor = self.unet(latents, t, *conditions)
            return predicted.float()

        return predict

    def deep_network(self, *conditions: torch.Tensor) -> DeepNetwork:
        """As :meth:`network`, but the features of the inner blocks come out, and may go in again."""

        def predict(
            latents: torch.Tensor, timestep: int, hidden: torch.Tensor | None
        ) -> tuple[torch.Tensor, torch.Tensor | None]:
            t = torch.full((len(latents),), timestep, device=self.device)
            deep = DeepFeatures(hidden=hidden)
            predicted: torch.Tensor = self.unet(latents, t, *conditions, deep=deep)
            return predicted.float(), deep.hidden

        return predict

    def denoiser(
        self,
        conditional: tuple[torch.Tensor, ...],
        unconditional: tuple[torch.Tensor, ...],
        arguments: GenerationArguments,
    ) -> Denoiser:
        """The guided denoiser that a sampler takes, from the conditions of both passes."""
        sides = [conditional, unconditional]
        if self.execution.level.guidance_in_one_batch and arguments.guidance_scale != 1:
            sides.append(tuple(map(torch.cat, zip(conditional, unconditional, strict=True))))
        return guided_denoiser(
            sides,
            arguments,
            self.schedule,
            network=lambda side: self.network(*side),
            deep_network=lambda side: self.deep_network(*side),
        )

    def sample(
        self, denoiser: Denoiser, x: torch.Tensor, sigmas: torch.Tensor, arguments: Any, **options: Any
    ) -> torch.Tensor:
        """Run the sampler of a call, see :meth:`~modelscope_i2v.generation.sampler.Sampler.run`."""
        with self.computing(self.unet):
            out: torch.Tensor = arguments.sampler.run(denoiser, x, sigmas, arguments=arguments, **options)
            return out

    @torch.no_grad()
    def encode(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames ``[n, 3, H, W]`` in [-1, 1] -> mean and log-variance of the latents, each ``[n, 4, h, w]`` float32.

        Raises:
            NotFiniteError: for NaN or infinity.
        """
        with self.computing(self.autoencoder):
            mean, logvar = self.autoencoder.encode(frames.to(self.device), self._portion(*frames.shape[-2:]).bands)
        for values in (mean, logvar):
            self.check_finite(values, ENCODING)
        return mean.float(), logvar.float()

    @torch.no_grad()
    def encode_frames(
        self, frames: Iterable[torch.Tensor], generator: torch.Generator, *, draw_only: bool = False
    ) -> torch.Tensor:
        """Frames ``[3, H, W]`` in [-1, 1], streamed -> latents float32 ``[1, 4, F, h, w]``, sampled from the posterior.

        Args:
            generator: makes one draw of ``[1, 4, h, w]`` per frame, in the order of frames.
            draw_only: make the draws and return zeros, without encoding (for a caller who gives latents).

        Raises:
            InputError: if there are no frames. NotFiniteError: for NaN or infinity.
        """
        autoencoder, latents = self.configuration.autoencoder, []
        with nullcontext() if draw_only else self.computing(self.autoencoder):  # once for all chunks
            for chunk in self._chunks(iter(frames)):
                factor = autoencoder.downsampling_factor
                shape = (1, autoencoder.embed_dim, chunk.shape[-2] // factor, chunk.shape[-1] // factor)
                noise = torch.cat([torch.randn(shape, generator=generator) for _ in chunk]).to(self.device)
                if draw_only:
                    latents.append(torch.zeros_like(noise))
                    continue
                mean, logvar = self.encode(chunk)
                latents.append(autoencoder.scale_factor * (mean + (0.5 * logvar).exp() * noise))
        if not latents:
            raise InputError('The video has no frames. Give one with at least one frame.')
        return torch.cat(latents).transpose(0, 1).unsqueeze(0)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> Generator[torch.Tensor, None, None]:
        """Latents ``[1, 4, F, h, w]`` -> frames ``[n, 3, H, W]`` float32, nominally in [-1, 1], a few at a time.

        Raises:
            NotFiniteError: for NaN or infinity.
        """
        frames = latents[0].transpose(0, 1) / self.configuration.autoencoder.scale_factor
        factor = self.configuration.autoencoder.downsampling_factor
        together = self._portion(factor * frames.shape[-2], factor * frames.shape[-1])
        with self.computing(self.autoencoder):
            for chunk in torch.split(frames, together.frames):
                decoded = self.autoencoder.decode(chunk.to(self.device), together.bands)
                self.check_finite(decoded, DECODING)
                yield decoded.float()

    def _portion(self, height: int, width: int) -> Portion:
        """How much the autoencoder processes at a time of frames of this size in pixels."""
        parameters, itemsize = self.configuration.autoencoder, self.autoencoder.dtype.itemsize
        return portion(parameters, height, width, itemsize=itemsize, limit=self.execution.autoencoder_limit)

    def _chunks(self, frames: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        for first in frames:
            count = self._portion(*first.shape[-2:]).frames
            yield torch.stack([first, *islice(frames, count - 1)])

    def _load(self, networks: Mapping[str, nn.Module], lora: Lora | None, show_progress: bool) -> None:
        with progress_bar('Loading weights', len(networks), show=show_progress) as bar:
            for key, network in networks.items():
                dtype = self.execution.autoencoder_dtype if network is self.autoencoder else self.execution.dtype
                load_weights(network, self.folder.files[key], dtype=dtype)
                if network is self.unet and lora is not None:
                    add_to_weights(network, lora, self.lora_scale)
                if self.execution.weights_dtype is not None and network is not self.autoencoder:
                    rest_in_fp8(network)
                network.to(self.execution.resting_place)
                bar.update()
        if self.execution.weights_dtype is not None:
            logger.warning(FP8_CHANGES_NUMBERS, self.folder.path.name)


def check_latents_shape(latents: torch.Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise InputError unless given ``latents`` have the shape that the other arguments imply."""
    if latents is not None and tuple(latents.shape) != shape:
        raise InputError(
            f"'latents' must have the shape {list(shape)} for this number of frames, height and width, found "
            f'{list(latents.shape)}.'
        )
