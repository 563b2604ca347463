"""Sprites: a coloured shape that moves over a gradient of two colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from demo_training.scenes.canvas import (
    SIDE,
    blend,
    hsv,
    hue_name,
    linear_gradient,
    pixel_centres,
    to_uint8,
)
from demo_training.scenes.shapes import SHAPES, UNSEEN_SHAPES

ALL_SHAPES = {**SHAPES, **UNSEEN_SHAPES}
MOTIONS = {'linear': 'moving straight', 'circle': 'circling', 'bob': 'bobbing'}
#: Room between a sprite and the border of the picture, in units.
MARGIN = 2.0
#: Width of the soft outline in pixels.
SOFTNESS = 1.5


@dataclass(frozen=True)
class Sprite:
    """One scene: what is seen and how it moves.

    Attributes:
        shape: a key of ``SHAPES`` or ``UNSEEN_SHAPES``.
        radius: in units, about half the size of the sprite.
        hue: in turns; None is white.
        colour, background: RGB in 0..1; the background is a gradient from ``background[0]`` to ``background[1]``.
        angle: direction of the gradient, radians.
        rotation, spin: radians, radians per eighth of a second.
        motion: a key of ``MOTIONS``.
        start: ``[2]`` position at time 0 (circle: the centre), in units.
        velocity: ``[2]`` units per eighth of a second (circle: unused).
        swing: amplitude (bob) or radius (circle) in units, angular speed in radians per eighth of a second, phase.
    """

    shape: str
    radius: float
    hue: float | None
    colour: np.ndarray
    background_hue: float
    background: tuple[np.ndarray, np.ndarray]
    angle: float
    rotation: float
    spin: float
    motion: str
    start: np.ndarray
    velocity: np.ndarray
    swing: tuple[float, float, float]

    @property
    def caption(self) -> str:
        """For example ``'a red star over a blue gradient, circling'``."""
        name = 'white' if self.hue is None else hue_name(self.hue)
        turning = ' and turning' if self.spin else ''
        return f'a {name} {self.shape} over a {hue_name(self.background_hue)} gradient, {MOTIONS[self.motion]}{turning}'

    def positions(self, times: np.ndarray) -> np.ndarray:
        """Centres ``[F, 2]`` in units at ``times`` ``[F]`` in eighths of a second."""
        amplitude, speed, phase = self.swing
        angles = phase + speed * times
        if self.motion == 'circle':
            return self.start + amplitude * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        path = self.start + times[:, None] * self.velocity
        if self.motion == 'bob':
            path[:, 1] += amplitude * (np.sin(angles) - math.sin(phase))
        low, high = self.radius + MARGIN, SIDE - MARGIN - self.radius
        return _bounce(path, low, high)

    def render(self, times: np.ndarray, size: int) -> np.ndarray:
        """Frames uint8 ``[F, size, size, 3]``."""
        x, y = pixel_centres(size)
        background = linear_gradient(size, *self.background, self.angle)
        frames = np.empty((len(times), size, size, 3), dtype=np.float32)
        for index, (centre, turn) in enumerate(
            zip(self.positions(times), self.rotation + self.spin * times, strict=True)
        ):
            opacity, own_x, own_y = self._opacity(x - centre[0], y - centre[1], turn, size / SIDE)
            shade = 1 - 0.18 * np.clip((own_x + own_y) * 0.6 + 0.2, 0, 1)  # lit from the upper left
            frames[index] = blend(background, self.colour * shade[..., None], opacity)
        return to_uint8(frames)

    def silhouette(self, side: int, extent: float) -> np.ndarray:
        """Its opacity at time 0, 0..1 ``[side, side]``, in a square of ``extent`` units around its centre."""
        x, y = ((axis - SIDE / 2) * extent / SIDE for axis in pixel_centres(side))
        return self._opacity(x, y, self.rotation, side / extent)[0]

    def _opacity(
        self, dx: np.ndarray, dy: np.ndarray, turn: float, pixels_per_unit: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Opacity at offsets from the centre in units, and the offsets in radii along the turned sprite's axes."""
        dx, dy = dx / self.radius, dy / self.radius
        own_x = math.cos(turn) * dx + math.sin(turn) * dy
        own_y = math.cos(turn) * dy - math.sin(turn) * dx
        distance = ALL_SHAPES[self.shape](own_x, own_y) * self.radius * pixels_per_unit
        return np.clip(0.5 - distance / SOFTNESS, 0, 1), own_x, own_y


def random_sprite(rng: np.random.Generator, shapes: tuple[str, ...] = tuple(SHAPES)) -> Sprite:
    """A sprite of one of ``shapes``; its hue is kept away from the background's."""
    hue = rng.uniform()
    white = rng.uniform() < 0.1
    saturation = 0.0 if white else rng.uniform(0.75, 1)
    colour = hsv(hue, saturation, rng.uniform(0.85, 1))
    background_hue = hue + rng.uniform(0.2, 0.8)
    background = (
        hsv(background_hue, rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75)),
        hsv(background_hue + rng.uniform(-0.15, 0.15), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.9)),
    )
    radius = rng.uniform(9, 14)
    motion = str(rng.choice(list(MOTIONS)))
    heading, speed = rng.uniform(0, 2 * math.pi), rng.uniform(1.6, 3.6)
    velocity = speed * np.array([math.cos(heading), math.sin(heading)])
    low, high = radius + MARGIN, SIDE - MARGIN - radius
    start = rng.uniform(low, high, size=2)
    phase = rng.uniform(0, 2 * math.pi)
    swing = (0.0, 0.0, phase)
    if motion == 'circle':
        orbit = rng.uniform(6, 9)
        swing = (orbit, rng.uniform(0.25, 0.5) * rng.choice([-1, 1]), phase)
        room = max(0.0, SIDE / 2 - MARGIN - radius - orbit)
        start = SIDE / 2 + rng.uniform(-room, room, size=2)
    elif motion == 'bob':
        swing = (rng.uniform(6, 12), rng.uniform(0.4, 0.7), phase)
        velocity = np.array([0.4 * velocity[0], 0.0])
    return Sprite(
        shape=str(rng.choice(list(shapes))),
        radius=radius,
        hue=None if white else hue,
        colour=colour,
        background_hue=background_hue,
        background=background,
        angle=rng.uniform(0, 2 * math.pi),
        rotation=rng.uniform(-0.3, 0.3),
        spin=rng.uniform(-0.12, 0.12) if rng.uniform() < 0.3 else 0.0,
        motion=motion,
        start=start,
        velocity=velocity,
        swing=swing,
    )


def _bounce(path: np.ndarray, low: float, high: float) -> np.ndarray:
    """Reflect positions at ``low`` and ``high``: a triangle wave of the unbounded path."""
    room = high - low
    offset = (path - low) % (2 * room)
    return low + np.minimum(offset, 2 * room - offset)
