"""Where and how the networks run, resolved once and passed down."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import torch

from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.runtime.attention import resolve_attention
from modelscope_i2v.runtime.device import (
    NO_GPU,
    has_native_bf16,
    resolve_autoencoder_dtype,
    resolve_device,
    resolve_dtype,
    resolve_weights_dtype,
)
from modelscope_i2v.runtime.memory_level import FULL, MemoryLevel, resolve_memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Execution:
    """The device, the precision and the attention back end of a model's networks.

    Attributes:
        dtype: precision of all networks but the autoencoder.
        requested_attention: the requested back end; another device may resolve ``'auto'`` differently.
        instead_of_gpu: whether the device is the CPU only because there is no GPU.
        autoencoder_dtype: precision of the autoencoder.
        weights_dtype: what the large weights of all networks but the autoencoder rest in; None: :attr:`dtype`.
        autoencoder_limit: bytes that the autoencoder may take for what it computes, as far as cutting images into bands
            of rows can do that; None: whole images.
        compiled: whether the blocks of the UNet are compiled.
        memory: what was asked for: ``'auto'``, the name of a level, or a limit.
        level: what is on the device when. Calls may have different levels, see
            :func:`~modelscope_i2v.generation.levels.choose_level`.
    """

    device: torch.device
    dtype: torch.dtype
    attention: str
    requested_attention: str = 'auto'
    instead_of_gpu: bool = False
    autoencoder_dtype: torch.dtype = torch.float32
    autoencoder_limit: int | None = None
    compiled: bool = False
    memory: str = 'full'
    level: MemoryLevel = FULL
    weights_dtype: torch.dtype | None = None

    @classmethod
    def resolve(
        cls,
        device: str | int | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        attention: str | None = None,
        compile: bool | None = None,
        autoencoder_dtype: str | torch.dtype | None = None,
        memory: str | None = None,
        weights_dtype: str | torch.dtype | None = None,
    ) -> Execution:
        """Resolve the names for this machine. None is ``'auto'``, no compilation, and ``'fp32'`` for the autoencoder;
        weights then rest in the precision that they compute in.

        Raises:
            DeviceError: if the device is not available, or does not support the back end or the type of weights.
            InputError: for an unknown precision, back end or memory level, or a ``compile`` that is neither True nor
                False.
        """
        memory = resolve_memory(memory)
        if not isinstance(compile, (bool, type(None))):
            raise InputError(f"'compile' must be True or False, found {shown(compile)}.")
        where = resolve_device(device, warn=False)
        precision = resolve_dtype('auto' if dtype is None else dtype, where)
        attention = 'auto' if attention is None else attention
        asked_for_cpu = str(device).lower().startswith('cpu')
        return cls(
            device=where,
            dtype=precision,
            attention=resolve_attention(attention, where, precision),
            requested_attention=attention,
            instead_of_gpu=where.type == 'cpu' and not asked_for_cpu,
            compiled=bool(compile),
            autoencoder_dtype=resolve_autoencoder_dtype(autoencoder_dtype),
            memory=memory,
            weights_dtype=resolve_weights_dtype(weights_dtype, where),
        )

    def at(self, level: MemoryLevel) -> Execution:
        """The same execution at another memory level."""
        return replace(self, level=level, autoencoder_limit=level.autoencoder_limit)

    @property
    def precisions(self) -> tuple[torch.dtype, torch.dtype, torch.dtype | None]:
        """:attr:`dtype`, :attr:`autoencoder_dtype` and :attr:`weights_dtype`, which decide the size of weights."""
        return self.dtype, self.autoencoder_dtype, self.weights_dtype

    @property
    def resting_place(self) -> torch.device:
        """Where networks are while they do not compute."""
        return torch.device('cpu') if self.level.offloads else self.device

    def announce(self) -> None:
        """Warn, before minutes of computing, if there is no GPU, and say what would be faster on this CPU."""
        if self.instead_of_gpu:
            logger.warning(NO_GPU)
        if self.dtype == torch.float32 and has_native_bf16(self.device):
            logger.info("This CPU computes in bfloat16, too: dtype='bf16' is faster and gives similar videos.")

    def on(self, device: str | int | torch.device | None) -> Execution:
        """The same execution on another device, in the same precision.

        Raises:
            DeviceError: as in :meth:`resolve`.
        """
        precisions = self.dtype, self.requested_attention, self.compiled, self.autoencoder_dtype
        return replace(
            Execution.resolve(device, *precisions, self.memory, self.weights_dtype),
            autoencoder_limit=self.autoencoder_limit,
            level=self.level,
        )
