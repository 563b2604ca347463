"""What every stage's model shares: building, loading and placing the networks, guided denoising, decoding."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from modelscope_i2v.diffusion import NoiseSchedule
from modelscope_i2v.diffusion.deep_cache import DeepNetwork
from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.guidance import Network
from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.arguments import GenerationArguments, merge_arguments
from modelscope_i2v.generation.autoencoder_memory import Portion, portion
from modelscope_i2v.generation.denoising import guided_denoiser
from modelscope_i2v.generation.finite import DECODING, ENCODING, Phase, check_finite
from modelscope_i2v.generation.levels import choose_level
from modelscope_i2v.generation.memory import weights_of
from modelscope_i2v.generation.modelscope_bases import TorchModel
from modelscope_i2v.generation.precision import Precision, dtype_of
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks import set_attention_backend
from modelscope_i2v.networks.unet import DeepFeatures
from modelscope_i2v.runtime.compilation import Compiled
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.fp8 import rest_in_fp8
from modelscope_i2v.runtime.memory_level import MemoryLevel, named_level
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.runtime.placement import carrier_to, on_device, tensors_of
from modelscope_i2v.runtime.progress import progress_bar
from modelscope_i2v.runtime.streaming import streamed
from modelscope_i2v.stage import Stage
from modelscope_i2v.weights import load_weights
from modelscope_i2v.weights.lora.apply import Lora, add_to_weights, check_lora, read_lora

logger = logging.getLogger(__name__)

FP8_CHANGES_NUMBERS = "The weights of '%s' rest in fp8, which changes numbers: a seed gives another video than without."
ANOTHER_DEVICE = "Use another device, memory='low', or dtype='fp16' or 'bf16'."


class GenerationModel(TorchModel):
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

    stage: ClassVar[Stage]
    schedule: NoiseSchedule
    clip: Any
    unet: Any
    autoencoder: Any

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
        super().__init__(str(folder.path))
        self.folder = folder
        self.configuration: Any = folder.configuration
        self.model_args = folder.arguments
        self.lora_scale = check_lora(lora, lora_scale)
        self.lora = None if lora is None else Path(lora).name
        self.execution = execution or _announced(
            Execution.resolve(device, dtype, attention, compile, autoencoder_dtype, memory, weights_dtype)
        )
        self.carrier = carrier_to(self.execution.device)
        self._computing: set[nn.Module] = set()
        self._shares_autoencoder = False
        networks = folder.build_networks()
        self.clip, self.unet = networks['ckpt_clip'], networks['ckpt_unet']
        self.autoencoder = networks['ckpt_autoencoder']
        self.weights = weights_of(networks, *self.execution.precisions)
        self.execution = self._at_first_level(self.execution)
        # Check the LoRA before minutes of loading.
        change = None if lora is None else read_lora(self.unet, lora, key=self.stage.lora_key)
        with memory_errors(ANOTHER_DEVICE):
            self._load(networks, change, show_progress)
        self.precision = Precision()
        self._set_attention()
        if self.execution.compiled:
            self.unet.run_block = Compiled(self.unet.run_block)
        self.eval()
        self.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.execution.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision that UNet and CLIP compute in; :attr:`execution` has the one that was asked for."""
        return dtype_of(self.unet)

    def move_to(self, device: str | int | torch.device) -> None:
        """Move all networks to ``device``.

        Raises:
            DeviceError: if it is not available, or its memory is too small.
        """
        target = self._at_first_level(self.execution.on(device))
        target.announce()
        try:
            with memory_errors('Use another device.'):
                self._move(target.resting_place)
        except DeviceError:
            self._move(self.execution.resting_place)  # do not leave the model half moved
            raise
        self.execution, self.carrier = target, carrier_to(target.device)
        self._set_attention()

    def level_for(self, arguments: Any, given: InputSize | None = None) -> MemoryLevel:
        """The memory level for a call; ``given`` is what is known of its input."""
        size = self.configuration.video_size(arguments, given)
        return choose_level(self.configuration, arguments, self.execution, size, self.weights)

    def take_level(self, level: MemoryLevel) -> None:
        """Work at a memory level from now on, unless a network is in use."""
        if level == self.execution.level or self.is_computing:
            return
        before, after = self.execution, self.execution.at(level)
        if after.resting_place != before.resting_place:
            try:
                self._move(after.resting_place)
            except RuntimeError:
                self._move(before.resting_place)  # do not leave the model half moved
                raise
        self.execution = after

    def _move(self, place: torch.device) -> None:
        """Move all networks. An autoencoder that another model works with stays, and a copy of it moves."""
        if self._shares_autoencoder:
            own = self.folder.build_networks()['ckpt_autoencoder']
            load_weights(own, self.autoencoder.state_dict(), dtype=self.autoencoder.dtype)
            self.autoencoder, self._shares_autoencoder = own.eval().requires_grad_(False), False
            self._set_attention()
        self.to(place)

    @property
    def resident_bytes(self) -> int:
        """Bytes of the weights that are on the device between calls."""
        return self.weights.total - self.resting_bytes

    @property
    def resting_bytes(self) -> int:
        """Bytes of the weights that wait in main memory between calls."""
        return 0 if self.execution.resting_place == self.device else self.weights.total

    @property
    def _stays(self) -> bool:
        """Whether the networks are on the device in every call."""
        named = named_level(self.execution.memory)
        return self.carrier is None or (named is not None and not named.offloads)

    @contextmanager
    def computing(self, network: nn.Module) -> Iterator[None]:
        """While it lasts, ``network`` is on the device. Whether it is before and after is up to the memory level."""
        if network in self._computing:  # a callback of a call may make another call
            yield
            return
        self._computing.add(network)
        try:
            with self._on_device(network):
                yield
        finally:
            self._computing.remove(network)

    @property
    def is_computing(self) -> bool:
        """Whether a network is in use, so that the memory level stays as it is."""
        return bool(self._computing)

    def _on_device(self, network: Any) -> AbstractContextManager[None]:
        if self.carrier is None or not self.execution.level.offloads:
            return nullcontext()
        if network is self.unet and self.execution.level.streams:
            return streamed(network, self.carrier)
        return on_device(tensors_of([network]), self.carrier)

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

    def check_finite(self, values: torch.Tensor, phase: Phase) -> None:
        """Raise NotFiniteError if ``values``, which a phase computed, have NaN or infinity in them."""
        check_finite(values, phase, self._networks(phase))

    def in_float32(self, phase: Phase) -> AbstractContextManager[None]:
        """Compute a phase in float32 for a while. The weights keep the values that they have in half precision."""
        return self._with_attention(self.precision.float32(self._networks(phase)))

    def in_own_precision(self) -> AbstractContextManager[None]:
        """Inside of :meth:`in_float32`, compute as outside of it: what a callback makes is what any call makes."""
        return self._with_attention(self.precision.own()) if self.precision.raised else nullcontext()

    @contextmanager
    def _with_attention(self, precision: AbstractContextManager[None]) -> Iterator[None]:
        try:
            with precision:
                self._set_attention()
                yield
        finally:
            self._set_attention()

    def _networks(self, phase: Phase) -> list[nn.Module]:
        return [getattr(self, name) for name in phase.networks]

    def _portion(self, height: int, width: int) -> Portion:
        """How much the autoencoder processes at a time of frames of this size in pixels."""
        parameters, itemsize = self.configuration.autoencoder, self.autoencoder.dtype.itemsize
        return portion(parameters, height, width, itemsize=itemsize, limit=self.execution.autoencoder_limit)

    def _chunks(self, frames: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        for first in frames:
            count = self._portion(*first.shape[-2:]).frames
            yield torch.stack([first, *islice(frames, count - 1)])

    def share_autoencoder(self, other: GenerationModel) -> bool:
        """Use the autoencoder of ``other`` and free our own, if both have the same weights. Returns whether it did.

        What comes to the device and goes, or may do so in a later call, is not shared.
        """
        if not (self._stays and other._stays):
            return False
        own, theirs = self.autoencoder.state_dict(), other.autoencoder.state_dict()
        # The scale belongs to the UNets: stages that share an autoencoder may use different scales.
        here, there = (replace(model.configuration.autoencoder, scale_factor=1.0) for model in (self, other))
        same = here == there and self.device == other.device and self.autoencoder.dtype == other.autoencoder.dtype
        if same and all(torch.equal(own[key], theirs[key]) for key in own):
            self.autoencoder, self.precision = other.autoencoder, other.precision
            self._shares_autoencoder = other._shares_autoencoder = True
            return True
        return False

    def _at_first_level(self, execution: Execution) -> Execution:
        """The execution at the level that a call without arguments would get."""
        level = named_level(execution.memory)
        if level is None:
            arguments = merge_arguments(self.stage.arguments, self.call_defaults(), {})
            size = self.configuration.video_size(arguments)
            level = choose_level(self.configuration, arguments, execution, size, self.weights)
        return execution.at(level)

    def _set_attention(self) -> None:
        backend = self.execution.attention
        # xformers is known to work in the network's own precision only.
        in_float32 = backend == 'xformers' and self.unet in self.precision.raised
        set_attention_backend(self.unet, 'sdpa' if in_float32 else backend)
        set_attention_backend(self.autoencoder, 'math' if backend == 'math' else 'sdpa')

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


def _announced(execution: Execution) -> Execution:
    execution.announce()
    return execution


def check_latents_shape(latents: torch.Tensor | None, shape: tuple[int, ...]) -> None:
    """Raise InputError unless given ``latents`` have the shape that the other arguments imply."""
    if latents is not None and tuple(latents.shape) != shape:
        raise InputError(
            f"'latents' must have the shape {list(shape)} for this number of frames, height and width, found "
            f'{list(latents.shape)}.'
        )
