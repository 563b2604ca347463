"""How much memory a device has free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

#: Where Linux keeps the limits of control groups (containers), and which of them this process belongs to.
CGROUPS = Path('/sys/fs/cgroup')
MEMBERSHIP = Path('/proc/self/cgroup')
#: Limit, usage and the key of ``memory.stat`` for what the kernel takes back first, in version 2 and in version 1.
_VERSION_2 = ('memory.max', 'memory.current', 'inactive_file')
_VERSION_1 = ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')


def free_memory(device: torch.device) -> int | None:
    """Bytes that PyTorch can still allocate on ``device``; None if that cannot be found out.

    What PyTorch holds in reserve on a GPU counts as free. Main memory is what the system can give without swapping, or
    less if a container sets a limit.
    """
    if device.type == 'cpu':
        return _main_memory()
    try:
        if device.type == 'cuda':
            reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return int(torch.cuda.mem_get_info(device)[0]) + reserve
        if device.type == 'mps':
            return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    except RuntimeError:  # a driver that does not tell
        return None
    return None


def total_memory(device: torch.device) -> int | None:
    """Bytes of memory that a CUDA GPU has, free or not; None if that cannot be found out."""
    if device.type != 'cuda' or not torch.cuda.is_available():
        return None
    try:
        return int(torch.cuda.get_device_properties(device).total_memory)
    except RuntimeError:  # a driver that does not tell
        return None


def container_room(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int | None:
    """Bytes that this process's control groups still allow; None if none of them sets a limit."""
    rooms = [room for folder, names in _groups(cgroups, membership) if (room := _room(folder, *names)) is not None]
    return min(rooms, default=None)


def _main_memory() -> int | None:
    try:
        available = int(psutil.virtual_memory().available)
    except (psutil.Error, OSError, RuntimeError):
        return None
    room = container_room()
    return available if room is None else min(available, room)


def _groups(cgroups: Path, membership: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Every control group of this process that may set a limit: its own, and those around it."""
    try:
        lines = membership.read_text(encoding='utf-8').splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if not controllers:
            root, names = cgroups, _VERSION_2
        elif 'memory' in controllers.split(','):
            root, names = cgroups / 'memory', _VERSION_1
        else:
            continue
        # Inside a container the path may be the host's. Then only the root is there, and it is the container's own.
        own = root / path.lstrip('/')
        for folder in (own, *own.parents):
            yield folder, names
            if folder == root:
                break


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    try:
        allowed = (folder / limit).read_text(encoding='ascii').strip()
        if allowed == 'max':
            return None
        used = int((folder / usage).read_text(encoding='ascii'))
        statistics = (folder / 'memory.stat').read_text(encoding='ascii').splitlines()
        cached = next((int(line.split()[1]) for line in statistics if line.split()[0] == reclaimable), 0)
        return max(0, int(allowed) - used + cached)
    except (OSError, ValueError, IndexError):  # no such group, or a format that we do not know
        return None
