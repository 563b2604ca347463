"""Simple landscapes: a sky with a sun or a moon and drifting clouds, over hills that the camera passes or water."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from demo_training.scenes.canvas import SIDE, blend, hsv, pixel_centres, smoothstep, to_uint8

#: ``(frame [H, W, 3], x, y, time) -> frame`` with something drawn over it.
Drawing = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]


def render_landscape(rng: np.random.Generator, times: np.ndarray, size: int) -> tuple[np.ndarray, str]:
    """Frames uint8 ``[F, size, size, 3]`` and a caption."""
    night = rng.uniform() < 0.25
    water = rng.uniform() < 0.35
    horizon = rng.uniform(0.5, 0.75) * SIDE
    sky = _sky(rng, night)
    light = _light(rng, night, horizon)
    clouds = [_cloud(rng, horizon, night) for _ in range(rng.integers(0 if night else 1, 4))]
    pan = rng.uniform(0.3, 1.2) * rng.choice([-1, 1])
    ground = _water(rng, sky, horizon) if water else _hills(rng, horizon, night, pan)
    x, y = pixel_centres(size)
    backdrop = _vertical(y, sky, horizon) * np.ones((size, size, 1), dtype=np.float32)
    frames = np.empty((len(times), size, size, 3), dtype=np.float32)
    for index, time in enumerate(times):
        frame = backdrop
        for drawing in (light, *clouds, ground):
            frame = drawing(frame, x, y, time)
        frames[index] = frame
    what = 'the moon' if night else 'the sun'
    return to_uint8(frames), f'{what} over {"water" if water else "hills"}{" and drifting clouds" if clouds else ""}'


def _sky(rng: np.random.Generator, night: bool) -> tuple[np.ndarray, np.ndarray]:
    """Colours at the top and at the horizon."""
    if night:
        hue = rng.uniform(0.6, 0.75)
        return hsv(hue, 0.7, rng.uniform(0.08, 0.25)), hsv(hue, 0.5, rng.uniform(0.25, 0.45))
    if rng.uniform() < 0.4:  # dawn or dusk
        return hsv(rng.uniform(0.55, 0.8), 0.5, rng.uniform(0.4, 0.7)), hsv(rng.uniform(0, 0.12), 0.6, 0.95)
    hue = rng.uniform(0.5, 0.65)
    return hsv(hue, rng.uniform(0.5, 0.8), rng.uniform(0.7, 0.95)), hsv(hue, rng.uniform(0.1, 0.35), 0.97)


def _vertical(y: np.ndarray, colours: tuple[np.ndarray, np.ndarray], horizon: float) -> np.ndarray:
    u = smoothstep(y / horizon)[..., None]
    return colours[0] * (1 - u) + colours[1] * u


def _light(rng: np.random.Generator, night: bool, horizon: float) -> Drawing:
    centre, radius = (rng.uniform(10, 54), rng.uniform(8, horizon - 12)), rng.uniform(3.5, 8)
    colour = hsv(rng.uniform(0.08, 0.17), 0.1 if night else rng.uniform(0.2, 0.7), 1.0)

    def draw(frame: np.ndarray, x: np.ndarray, y: np.ndarray, time: float) -> np.ndarray:
        distance = np.hypot(x - centre[0], y - centre[1])
        glow = 0.35 * np.exp(-np.maximum(distance - radius, 0) / (1.2 * radius))
        disc = np.clip(0.5 + (radius - distance) / 1.2, 0, 1)
        return blend(blend(frame, colour, glow), colour, disc)

    return draw


def _cloud(rng: np.random.Generator, horizon: float, night: bool) -> Drawing:
    puffs = [
        (rng.uniform(-7, 7), rng.uniform(-1.5, 1.5), rng.uniform(3.5, 7), rng.uniform(2, 3.5))
        for _ in range(rng.integers(3, 6))
    ]
    start, height = rng.uniform(0, SIDE), rng.uniform(6, max(8.0, horizon - 10))
    speed, colour = rng.uniform(0.4, 1.4) * rng.choice([-1, 1]), hsv(0.6, 0.05, 0.45 if night else 0.97)
    opacity, span = rng.uniform(0.6, 0.95), SIDE + 30

    def draw(frame: np.ndarray, x: np.ndarray, y: np.ndarray, time: float) -> np.ndarray:
        centre = (start + speed * time + 15) % span - 15
        density = sum(
            np.exp(-(((x - centre - dx) / wide) ** 2) - ((y - height - dy) / tall) ** 2) for dx, dy, wide, tall in puffs
        )
        return blend(frame, colour, opacity * smoothstep(density * 1.3 - 0.25))

    return draw


def _hills(rng: np.random.Generator, horizon: float, night: bool, pan: float) -> Drawing:
    count = int(rng.integers(2, 4))
    hue = rng.uniform(0.2, 0.45) if rng.uniform() < 0.7 else rng.uniform()
    layers = []
    for layer in range(count):
        near = (layer + 1) / count
        waves = [(rng.uniform(1.5, 6) / k, 2 * math.pi * k / rng.uniform(50, 90), rng.uniform(0, 6.3)) for k in (1, 2)]
        value = (0.25 if night else 0.75) * (1.1 - 0.55 * near)
        base = horizon + (SIDE - horizon) * (near - 1 / count) * 0.8
        layers.append((base, waves, pan * near, hsv(hue + rng.uniform(-0.04, 0.04), 0.3 + 0.3 * near, value)))

    def draw(frame: np.ndarray, x: np.ndarray, y: np.ndarray, time: float) -> np.ndarray:
        for base, waves, speed, colour in layers:
            shifted = x + speed * time
            ridge = base + sum(height * np.sin(rate * shifted + phase) for height, rate, phase in waves)
            frame = blend(frame, colour, np.clip(0.5 + (y - ridge) / 1.2, 0, 1))
        return frame

    return draw


def _water(rng: np.random.Generator, sky: tuple[np.ndarray, np.ndarray], horizon: float) -> Drawing:
    deep, shallow = sky[0] * 0.6, sky[1] * 0.75
    rate, speed, strength = rng.uniform(0.5, 0.9), rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.12)

    def draw(frame: np.ndarray, x: np.ndarray, y: np.ndarray, time: float) -> np.ndarray:
        depth = np.clip((y - horizon) / (SIDE - horizon), 0, 1)
        ripples = np.sin(rate * (y - horizon) / (0.4 + depth) + speed * time + 0.12 * x) * strength * (0.3 + depth)
        surface = shallow + (deep - shallow) * depth[..., None] + ripples[..., None]
        return blend(frame, surface, np.clip(0.5 + (y - horizon) / 1.2, 0, 1) * np.ones_like(x))

    return draw
