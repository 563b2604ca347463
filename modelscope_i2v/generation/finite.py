"""NaN and infinity are found in the phase that makes them, and what half precision cannot do is repeated in float32."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from modelscope_i2v.errors import DeviceError

logger = logging.getLogger(__name__)

Result = TypeVar('Result')


@dataclass(frozen=True)
class Phase:
    """A part of a call.

    Attributes:
        name: as a recipe says it.
        subject: as a sentence begins with it.
        networks: the attributes of a model that compute in it.
        option: the argument that sets their precision.
    """

    name: str
    subject: str
    networks: tuple[str, ...]
    option: str


ENCODING = Phase('encoding', 'Encoding the input', ('autoencoder',), 'autoencoder_dtype')
FIRST_STEP = Phase('sampling', 'The first sampling step', ('clip', 'unet'), 'dtype')
SAMPLING = Phase('sampling', 'Sampling', ('clip', 'unet'), 'dtype')
DECODING = Phase('decoding', 'Decoding', ('autoencoder',), 'autoencoder_dtype')


class NotFiniteError(DeviceError):
    """A phase produced NaN or infinity.

    Attributes:
        phase: which one.
        dtype: what its networks computed in.
    """

    phase: Phase
    dtype: torch.dtype


def check_finite(values: torch.Tensor, phase: Phase, dtype: torch.dtype) -> None:
    """Raise NotFiniteError if ``values``, which ``phase`` computed in ``dtype``, have NaN or infinity among them."""
    if torch.isfinite(values).all():
        return
    exact = dtype == torch.float32
    advice = 'Are the weights damaged?' if exact else f"Build the pipeline with {phase.option}='fp32' or 'bf16'."
    error = NotFiniteError(f'{phase.subject} produced NaN or infinite values in {dtype} on {values.device}. {advice}')
    error.phase, error.dtype = phase, dtype
    raise error


@dataclass(frozen=True)
class Repeats:
    """Runs the parts of one call, and repeats in float32 what is not finite in half precision.

    Attributes:
        in_float32: ``phase -> context`` in which the networks of a phase compute in float32.
        phases: the names of the phases that were repeated.
    """

    in_float32: Callable[[Phase], AbstractContextManager[None]]
    phases: list[str]

    def run(self, part: Callable[[], Result]) -> Result:
        """``part()``; if it raises NotFiniteError in half precision, once more with that phase's networks in float32.

        Raises:
            NotFiniteError: if float32 does not help.
        """
        with ExitStack() as stack:
            while True:
                try:
                    return part()
                except NotFiniteError as error:
                    if error.dtype == torch.float32:
                        raise
                    phase, said = error.phase, str(error)
                logger.warning('%s It is repeated in float32 now.', said)
                stack.enter_context(self.in_float32(phase))
                self.phases.append(phase.name)


def repeated_entry(phases: Collection[str]) -> dict[str, Any]:
    """What a recipe and a result say about phases that were repeated in float32; nothing if there were none."""
    return {'repeated_in_float32': list(phases)} if phases else {}
