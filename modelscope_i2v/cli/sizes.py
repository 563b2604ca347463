"""Sizes of files as people read them."""

from __future__ import annotations


def size_on_disk(count: int) -> str:
    """``count`` bytes in the decimal units of disks."""
    return f'{count / 1e9:.2f} GB' if count >= 1e9 else f'{count / 1e6:.1f} MB'
