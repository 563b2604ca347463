"""How much of a model rests in main memory, to spare that of a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryLevel:
    """What is on the device when.

    Attributes:
        name: as recipes and messages say it.
        offloads: whether each network is on the device only while it computes.
    """

    name: str
    offloads: bool = False


#: Everything stays on the device.
FULL = MemoryLevel('full')
#: The device has the network that computes.
OFFLOAD = MemoryLevel('offload', offloads=True)
