"""Pixel grids and colours."""

from __future__ import annotations

import numpy as np

#: Side of every picture, in the units that scenes are described in.
SIDE = 64.0

COLOUR_NAMES = (
    'red', 'orange', 'yellow', 'lime', 'green', 'teal', 'cyan', 'azure', 'blue', 'violet', 'magenta', 'pink'
)  # fmt: skip


def pixel_centres(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x ``[1, size]`` and y ``[size, 1]`` of the pixel centres, in units."""
    centres = ((np.arange(size) + 0.5) * (SIDE / size)).astype(np.float32)
    return centres[None, :], centres[:, None]


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB in 0..1 of a hue (turns, wraps around), a saturation and a value (0..1)."""
    sectors = (np.array([5.0, 3.0, 1.0]) + (hue % 1.0) * 6) % 6
    return (value - value * saturation * np.clip(np.minimum(sectors, 4 - sectors), 0, 1)).astype(np.float32)


def hue_name(hue: float) -> str:
    """The nearest of twelve colour names."""
    return COLOUR_NAMES[round((hue % 1.0) * 12) % 12]


def smoothstep(u: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a cubic without kinks in between."""
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


def linear_gradient(size: int, first: np.ndarray, second: np.ndarray, angle: float) -> np.ndarray:
    """A smooth transition ``[size, size, 3]`` from one colour to another, towards ``angle`` (radians, 0 = right)."""
    x, y = pixel_centres(size)
    along = (x - SIDE / 2) * np.cos(angle) + (y - SIDE / 2) * np.sin(angle)
    u = smoothstep(along / SIDE + 0.5)[..., None]
    return first * (1 - u) + second * u


def blend(base: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``colour`` over ``base`` ``[H, W, 3]`` with opacity ``alpha`` ``[H, W]``."""
    return base + (colour - base) * alpha[..., None]


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """Frames in 0..1 as bytes."""
    return np.clip(np.rint(frames * 255), 0, 255).astype(np.uint8)
