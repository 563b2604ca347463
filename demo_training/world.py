"""The world that the small models of the first generation know: short clips that are a pure function of a seed.

Seeds below :data:`FIRST_HELD_OUT_SEED` are for training; the others judge the model and are never trained on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from demo_training.made_from import code_fingerprint
from demo_training.scenes.landscapes import render_landscape
from demo_training.scenes.layouts import render_layout
from demo_training.scenes.shapes import SHAPES
from demo_training.scenes.sprites import Sprite, random_sprite
from modelscope_i2v.checks import choice, integer, number
from modelscope_i2v.errors import InputError
from modelscope_i2v.training.data.clips import Clip

FIRST_HELD_OUT_SEED = 1_000_000
#: Frames per second at which speeds are defined.
BASE_FPS = 8.0
#: Kinds of clips and how often each is drawn.
SHARES = {'sprite': 0.6, 'landscape': 0.15, 'layout': 0.25}


def make_clip(
    seed: int, *, num_frames: int = 16, size: int = 64, fps: float = BASE_FPS, kind: str | None = None
) -> Clip:
    """The clip of a seed.

    Args:
        seed: below :data:`FIRST_HELD_OUT_SEED` for training.
        num_frames: frames; 1 makes a picture.
        size: side in pixels; the scene is the same at every size.
        fps: frames per second: the same scene, seen more or less often.
        kind: a key of :data:`SHARES`; None draws one.

    Raises:
        InputError: for a value that is not allowed.
    """
    integer('seed', seed, 0, error=InputError)
    integer('num_frames', num_frames, error=InputError)
    integer('size', size, 8, error=InputError)
    times = np.arange(num_frames) * (BASE_FPS / number('fps', fps, 0, 240, open_low=True, error=InputError))
    drawn, rng = _draw_kind(seed)
    kind = drawn if kind is None else choice('kind', kind, SHARES, error=InputError)
    if kind == 'sprite':
        sprite = random_sprite(rng)
        return Clip(sprite.render(times, size), fps, sprite.caption)
    render = render_landscape if kind == 'landscape' else render_layout
    frames, caption = render(rng, times, size)
    return Clip(frames, fps, caption)


def world_fingerprint() -> str:
    """A digest of the code that draws the world: with it clips change. Pixels differ in a bit between processors."""
    here = Path(__file__)
    return code_fingerprint(here, *sorted(here.with_name('scenes').glob('*.py')))


def sprite_of_clip(seed: int) -> Sprite | None:
    """What ``make_clip(seed)`` shows, with its attributes, if that is a sprite."""
    kind, rng = _draw_kind(seed)
    return random_sprite(rng) if kind == 'sprite' else None


def make_sprite(seed: int, shapes: tuple[str, ...] = tuple(SHAPES)) -> Sprite:
    """The sprite of a seed, with its attributes, from ``shapes``."""
    return random_sprite(np.random.default_rng(integer('seed', seed, 0, error=InputError)), shapes)


def _draw_kind(seed: int) -> tuple[str, np.random.Generator]:
    """The kind that a seed stands for, and the generator that goes on from there."""
    rng = np.random.default_rng(seed)
    return str(rng.choice(list(SHARES), p=list(SHARES.values()))), rng
