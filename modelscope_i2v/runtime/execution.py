"""Where and how the networks run, found once and handed down."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from modelscope_i2v.runtime.attention import resolve_attention
from modelscope_i2v.runtime.device import NO_GPU, resolve_device, resolve_dtype

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Execution:
    """The device, the precision and the attention back end of a model's networks.

    Attributes:
        requested_attention: the back end that was asked for; another device may resolve ``'auto'`` differently.
        instead_of_gpu: whether the device is the CPU only because there is no GPU.
    """

    device: torch.device
    dtype: torch.dtype
    attention: str
    requested_attention: str = 'auto'
    instead_of_gpu: bool = False

    @classmethod
    def resolve(
        cls,
        device: str | int | torch.device | None = None,
        dtype: str | torch.dtype = 'auto',
        attention: str = 'auto',
    ) -> Execution:
        """What the names mean on this machine.

        Raises:
            DeviceError: if the device is not there, or does not run the back end.
            InputError: for an unknown precision or back end.
        """
        where = resolve_device(device, warn=False)
        precision = resolve_dtype(dtype, where)
        asked_for_cpu = str(device).lower() == 'cpu'
        return cls(
            device=where,
            dtype=precision,
            attention=resolve_attention(attention, where, precision),
            requested_attention=attention,
            instead_of_gpu=where.type == 'cpu' and not asked_for_cpu,
        )

    def announce(self) -> None:
        """Warn, before minutes of computing, if there is no GPU for them."""
        if self.instead_of_gpu:
            logger.warning(NO_GPU)

    def on(self, device: str | int | torch.device | None) -> Execution:
        """The same on another device, in the same precision.

        Raises:
            DeviceError: as :meth:`resolve`.
        """
        return Execution.resolve(device, self.dtype, self.requested_attention)
