"""How much of a model rests in main memory, to spare that of a device."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelscope_i2v.errors import InputError, nearest, shown
from modelscope_i2v.terms import MEMORY_LEVELS

GIB = 2**30
#: A limit as a user gives it. No device has more than five digits of it.
LIMIT = re.compile(r'([0-9]{1,5}(?:\.[0-9]{1,3})?) ?GB', re.IGNORECASE)


@dataclass(frozen=True)
class MemoryLevel:
    """What is on the device when, and what else is done to spare its memory.

    Attributes:
        name: as recipes and messages say it.
        offloads: whether each network is on the device only while it computes.
        streams: whether the blocks of the UNet come to the device one after the other.
        guidance_in_one_batch: whether the two passes of guidance are one batch: fewer, larger operations, which compute
            with twice as much, and other last bits.
        autoencoder_limit: see :class:`~modelscope_i2v.runtime.execution.Execution`; with one, the autoencoder's numbers
            differ a little.
    """

    name: str
    offloads: bool = False
    streams: bool = False
    guidance_in_one_batch: bool = False
    autoencoder_limit: int | None = None

    @property
    def next(self) -> MemoryLevel | None:
        """The level that needs less, if there is one."""
        below = NAMED.index(self) + 1
        return NAMED[below] if below < len(NAMED) else None


#: Everything stays on the device, which also has memory for both passes of guidance at once. Only a user chooses it, as
#: numbers differ a little.
AMPLE = MemoryLevel('ample', guidance_in_one_batch=True)
#: Everything stays on the device.
FULL = MemoryLevel('full')
#: The device has the network that computes.
OFFLOAD = MemoryLevel('offload', offloads=True)
#: As little as possible.
LOW = MemoryLevel('low', offloads=True, streams=True, autoencoder_limit=GIB)
#: Those that a call may get by itself, from that which needs most to that which needs least.
LEVELS = (FULL, OFFLOAD, LOW)
#: Those that a user can name.
NAMED = (AMPLE, *LEVELS)


def resolve_memory(memory: str | None) -> str:
    """``'auto'`` (or None), the name of a level, or a limit such as ``'6GB'``, as :class:`Execution` has it.

    Raises:
        InputError: for anything else.
    """
    if memory is None or (isinstance(memory, str) and (memory in MEMORY_LEVELS or limit_of(memory))):
        return memory or 'auto'
    hint = nearest(memory, MEMORY_LEVELS) if isinstance(memory, str) else ''
    names = ', '.join(map(repr, MEMORY_LEVELS))
    raise InputError(f"'memory' must be one of {names} or a limit such as '6GB', found {shown(memory)}.{hint}")


def limit_of(memory: str) -> int | None:
    """The bytes that a limit such as ``'6GB'`` allows; a GB has 2^30, as on the box of a card. None: not a limit."""
    match = LIMIT.fullmatch(memory)
    return round(float(match[1]) * GIB) or None if match else None


def named_level(memory: str) -> MemoryLevel | None:
    """The level with this name, if there is one."""
    return next((level for level in NAMED if level.name == memory), None)
