"""Silhouettes as signed distances: negative inside, in radii of the sprite, close to exact near the outline."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Silhouette = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 1


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(abs(x), abs(y)) - 0.86


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equilateral, tip up, inscribed circle of radius 0.6 around a centre that lies a little low."""
    low = y - 0.15
    flanks = math.sqrt(3) / 2 * abs(x) - low / 2
    return np.maximum(flanks, low) - 0.6


def _star(x: np.ndarray, y: np.ndarray, points: int = 5, outer: float = 1.2, inner: float = 0.55) -> np.ndarray:
    """All sectors fold onto half of one; what is left is the distance to the line from a tip to the next notch."""
    half = math.pi / points
    angle = abs((np.arctan2(x, -y) + half) % (2 * half) - half)
    radius = np.hypot(x, y)
    notch_x, notch_y = inner * math.cos(half), inner * math.sin(half)
    normal = np.array([notch_y, outer - notch_x]) / math.hypot(notch_y, outer - notch_x)
    return (radius * np.cos(angle) - outer) * normal[0] + radius * np.sin(angle) * normal[1]


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return abs(np.hypot(x, y) - 0.78) - 0.26


def _diamond(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (abs(x) + 0.8 * abs(y)) / 1.28 - 0.78


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A circle whose height is sheared upwards by the root of the distance from the axis."""
    lifted = 1.15 * (0.12 - y) - 0.72 * np.sqrt(abs(x) + 1e-4)
    return np.hypot(x, lifted) - 0.9


def _cross(x: np.ndarray, y: np.ndarray, length: float = 1.0, half_width: float = 0.36) -> np.ndarray:
    across = np.maximum(abs(x) - length, abs(y) - half_width)
    upright = np.maximum(abs(x) - half_width, abs(y) - length)
    return np.minimum(across, upright)


#: The eight shapes of the embedded world.
SHAPES: dict[str, Silhouette] = {
    'disc': _disc,
    'square': _square,
    'triangle': _triangle,
    'star': _star,
    'ring': _ring,
    'diamond': _diamond,
    'heart': _heart,
    'cross': _cross,
}


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A disc without a smaller one that is pushed in from the right."""
    return np.maximum(np.hypot(x, y) - 1, 0.78 - np.hypot(x - 0.5, y))


#: Shapes that are never in the training world: material for fine-tuning.
UNSEEN_SHAPES: dict[str, Silhouette] = {'crescent': _crescent}
