"""Where and how a model's networks run: on which device, which of them is there when, and in which precision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from modelscope_i2v.errors import DeviceError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.finite import Phase, check_finite
from modelscope_i2v.generation.levels import choose_level
from modelscope_i2v.generation.memory import weights_of
from modelscope_i2v.generation.modelscope_bases import TorchModel
from modelscope_i2v.generation.precision import Precision, dtype_of
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks import set_attention_backend
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.memory_level import MemoryLevel, named_level
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.runtime.placement import carrier_to, on_device, tensors_of
from modelscope_i2v.runtime.streaming import streamed
from modelscope_i2v.stage import Stage
from modelscope_i2v.weights import load_weights

logger = logging.getLogger(__name__)

Result = TypeVar('Result')


class PlacedModel(TorchModel):
    """A model's networks, and where and how they run. A subclass loads their weights and says what they compute.

    Args:
        folder: the model's folder.
        networks: what :meth:`ModelFolder.build_networks` made of it.
        execution: where and how they are to run.

    Attributes:
        execution: where and how they run now. Its memory level may be another one in each call.
        carrier: brings weights to the device; None if that is main memory.
        weights: the bytes of their weights.
        precision: which networks compute in float32 for a while, and the lock of whoever computes with them.
    """

    stage: ClassVar[Stage]
    clip: Any
    unet: Any
    autoencoder: Any

    def __init__(self, folder: ModelFolder, networks: Mapping[str, nn.Module], execution: Execution) -> None:
        super().__init__(str(folder.path))
        self.folder = folder
        self.configuration: Any = folder.configuration
        self.clip, self.unet = networks['ckpt_clip'], networks['ckpt_unet']
        self.autoencoder = networks['ckpt_autoencoder']
        self.weights = weights_of(networks, *execution.precisions)
        self.execution = self._at_first_level(execution)
        self.carrier = carrier_to(execution.device)
        self.precision = Precision()
        self._computing: set[nn.Module] = set()
        self._shares_autoencoder = False
        self._set_attention()

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.execution.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision that UNet and CLIP compute in; :attr:`execution` has the one that was asked for."""
        return dtype_of(self.unet)

    @property
    def resident_bytes(self) -> int:
        """Bytes of the weights that are on the device between calls."""
        return self.weights.total - self.resting_bytes

    @property
    def resting_bytes(self) -> int:
        """Bytes of the weights that wait in main memory between calls."""
        return 0 if self.execution.resting_place == self.device else self.weights.total

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

    def within_memory(self, level: MemoryLevel, part: Callable[[], Result]) -> Result:
        """``part()`` at a memory level; if a GPU runs out of memory, once more at the next one."""
        try:
            self.take_level(level)
            return part()
        except torch.OutOfMemoryError as error:
            if self.carrier is None or level.next is None or self.is_computing:
                raise
            logger.warning(
                "Out of memory with memory='%s': %s It is repeated with memory='%s' now.",
                level.name,
                str(error),  # the error itself holds what was computed, and handlers may keep what they log
                level.next.name,
            )
        # Outside of the except block, so that the error no longer holds what was computed.
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()
        self.take_level(level.next)
        return part()

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

    def share_autoencoder(self, other: PlacedModel) -> bool:
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

    def check_finite(self, values: torch.Tensor, phase: Phase) -> None:
        """Raise NotFiniteError if ``values``, which a phase computed, have NaN or infinity in them."""
        check_finite(values, phase, self._networks(phase))

    def in_float32(self, phase: Phase) -> AbstractContextManager[None]:
        """Compute a phase in float32 for a while. The weights keep the values that they have in half precision."""
        return self._with_attention(self.precision.float32(self._networks(phase)))

    def in_own_precision(self) -> AbstractContextManager[None]:
        """Inside of :meth:`in_float32`, compute as outside of it: what a callback makes is what any call makes."""
        return self._with_attention(self.precision.own()) if self.precision.raised else nullcontext()

    def _at_first_level(self, execution: Execution) -> Execution:
        """The execution at the level that a call without arguments would get."""
        level = named_level(execution.memory)
        if level is None:
            arguments = merge_arguments(self.stage.arguments, self.folder.call_defaults(), {})
            size = self.configuration.video_size(arguments)
            level = choose_level(self.configuration, arguments, execution, size, self.weights)
        return execution.at(level)

    @property
    def _stays(self) -> bool:
        """Whether the networks are on the device in every call."""
        named = named_level(self.execution.memory)
        return self.carrier is None or (named is not None and not named.offloads)

    def _move(self, place: torch.device) -> None:
        """Move all networks. An autoencoder that another model works with stays, and a copy of it moves."""
        if self._shares_autoencoder:
            own = self.folder.build_networks()['ckpt_autoencoder']
            load_weights(own, self.autoencoder.state_dict(), dtype=self.autoencoder.dtype)
            self.autoencoder, self._shares_autoencoder = own.eval().requires_grad_(False), False
            self._set_attention()
        self.to(place)

    def _on_device(self, network: Any) -> AbstractContextManager[None]:
        if self.carrier is None or not self.execution.level.offloads:
            return nullcontext()
        if network is self.unet and self.execution.level.streams:
            return streamed(network, self.carrier)
        return on_device(tensors_of([network]), self.carrier)

    @contextmanager
    def _with_attention(self, precision: AbstractContextManager[None]) -> Iterator[None]:
        try:
            with precision:
                self._set_attention()
                yield
        finally:
            self._set_attention()

    def _set_attention(self) -> None:
        backend = self.execution.attention
        # xformers is known to work in the network's own precision only.
        in_float32 = backend == 'xformers' and self.unet in self.precision.raised
        set_attention_backend(self.unet, 'sdpa' if in_float32 else backend)
        set_attention_backend(self.autoencoder, 'math' if backend == 'math' else 'sdpa')

    def _networks(self, phase: Phase) -> list[nn.Module]:
        return [getattr(self, name) for name in phase.networks]
