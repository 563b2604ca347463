"""NaN and infinity are found in the phase that makes them, and what half precision cannot do is repeated in float32."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from modelscope_i2v.errors import DeviceError
from modelscope_i2v.generation.precision import dtype_of

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
        doubt: what may be wrong if float32 does not help.
    """

    name: str
    subject: str
    networks: tuple[str, ...]
    option: str
    doubt: str


_WEIGHTS = 'Are the weights damaged?'
_LATENTS = "Are the weights damaged, or are the latents too large that 'callback_on_step_end' or 'latents' gave?"

ENCODING = Phase('encoding', 'Encoding the input', ('autoencoder',), 'autoencoder_dtype', _WEIGHTS)
FIRST_STEP = Phase('sampling', 'The first sampling step', ('clip', 'unet'), 'dtype', _LATENTS)
SAMPLING = Phase('sampling', 'Sampling', ('clip', 'unet'), 'dtype', _LATENTS)
DECODING = Phase('decoding', 'Decoding', ('autoencoder',), 'autoencoder_dtype', _LATENTS)


class NotFiniteError(DeviceError):
    """A phase produced NaN or infinity.

    Attributes:
        repeat: the phase, if float32 may help; None if it cannot.
    """

    repeat: Phase | None = None


def check_finite(values: torch.Tensor, phase: Phase, networks: Sequence[nn.Module]) -> None:
    """Raise NotFiniteError if ``values``, which ``phase`` computed with ``networks``, have NaN or infinity in them."""
    if not torch.isfinite(values).all():
        # Made elsewhere: a frame that has the error as a variable stays in memory with it, and so do all its tensors.
        raise _not_finite(phase, networks, values.device)


def _not_finite(phase: Phase, networks: Sequence[nn.Module], device: torch.device) -> NotFiniteError:
    dtype = dtype_of(networks[-1])
    half = dtype == torch.float16  # bfloat16 has the range of float32
    weights = [weight for network in networks for weight in network.parameters()]
    other = f"Build the pipeline with {phase.option}='fp32' or 'bf16'."
    advice, repeat = phase.doubt, None
    if half and all(weight.isfinite().all() for weight in weights):
        advice, repeat = other, phase
    elif half and not any(weight.isnan().any() for weight in weights):
        advice = f'Some weights are too large for {dtype}. {other}'
    error = NotFiniteError(f'{phase.subject} produced NaN or infinite values in {dtype} on {device}. {advice}')
    error.repeat = repeat
    return error


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
                    if error.repeat is None:
                        raise
                    phase, said = error.repeat, str(error)
                # Outside of the except block, where the error no longer holds what was computed.
                logger.warning('%s It is repeated in float32 now.', said)
                if phase.name not in self.phases:  # it may be repeated once more, with less memory
                    self.phases.append(phase.name)
                stack.enter_context(self.in_float32(phase))


def repeated_entry(phases: Collection[str]) -> dict[str, Any]:
    """What a recipe and a result say about phases that were repeated in float32; nothing if there were none."""
    return {'repeated_in_float32': list(phases)} if phases else {}
