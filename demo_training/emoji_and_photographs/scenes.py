"""What a clip shows: a photograph or smooth colours, perhaps an emoji in front of it, and one move."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from demo_training.emoji_and_photographs.captions import caption, emoji_name
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.moves import ANIMATED, CAMERA, SPRITE

#: How often a clip has an emoji, an emoji has a photograph behind it, and a clip has no text.
WITH_EMOJI, OVER_PHOTOGRAPH, WITHOUT_TEXT = 0.6, 0.6, 0.2
#: What moves without a text: an emoji hops and plays its own animation, and a camera goes towards a photograph.
DEFAULT_MOVE = 'zoom in'
#: How often an emoji plays its own animation, moves in front of what is behind it, or is seen by a moving camera.
EMOJI_MOVES = {ANIMATED: 0.4, 'sprite': 0.25, 'camera': 0.35}
#: What photographs are called.
PHOTOGRAPH = 'photograph'


@dataclass(frozen=True)
class Place:
    """Where something is; see :func:`~demo_training.emoji_and_photographs.rendering.placement`."""

    centre: tuple[float, float]
    scale: float
    angle: float
    mirrored: bool


@dataclass(frozen=True)
class Scene:
    """Everything about a clip but its pixels.

    Attributes:
        text: the caption; empty if nothing is said.
        move: a name of :data:`~demo_training.emoji_and_photographs.captions.MOVES`.
        crop: the photograph behind, an index into the crops, and which part of it; or None.
        colours: if there is no photograph, two colours ``[2, 3]`` in 0..1 and the direction from one to the other.
        emoji: the emoji in front, the first of its frames, and where it is; or None.
    """

    text: str
    move: str
    crop: tuple[int, Place] | None
    colours: tuple[np.ndarray, float]
    emoji: tuple[int, int, Place] | None

    @property
    def camera_move(self) -> str:
        """What the camera does."""
        return self.move if self.move in CAMERA else 'still'

    @property
    def sprite_move(self) -> str | None:
        """What the emoji does in front of its background."""
        return self.move if self.move in (*SPRITE, ANIMATED) else None

    @property
    def is_animated(self) -> bool:
        """Whether the emoji plays its own animation."""
        return self.move == ANIMATED


def draw_scene(data: Data, rng: np.random.Generator, move: str | None = None, *, emoji: bool | None = None) -> Scene:
    """A scene by chance.

    Args:
        move: None draws one.
        emoji: whether there is one; None draws it.
    """
    has_emoji = rng.uniform() < WITH_EMOJI if emoji is None else emoji
    silent = move is None and rng.uniform() < WITHOUT_TEXT
    if move is None:
        move = _draw_move(rng, has_emoji, silent)
    crop = None
    if not has_emoji or rng.uniform() < OVER_PHOTOGRAPH:
        crop = int(rng.choice(data.crop_indices)), _part(rng, move)
    colours = rng.uniform(size=(2, 3)).astype(np.float32), float(rng.uniform(0, 2 * math.pi))
    sprite = None
    if has_emoji:
        index = int(rng.choice(data.emoji_indices))
        sprite = index, int(rng.integers(data.emoji.length(index))), _spot(rng, move)
    scene = Scene('', move, crop, colours, sprite)
    return scene if silent else dataclasses.replace(scene, text=caption(subject_of(data, scene), move, rng))


def subject_of(data: Data, scene: Scene) -> str:
    """What a scene shows, in words."""
    return PHOTOGRAPH if scene.emoji is None else emoji_name(data.emoji.names[scene.emoji[0]])


def _draw_move(rng: np.random.Generator, has_emoji: bool, silent: bool) -> str:
    if silent:
        return ANIMATED if has_emoji else DEFAULT_MOVE
    kind = str(rng.choice(list(EMOJI_MOVES), p=list(EMOJI_MOVES.values()))) if has_emoji else 'camera'
    if kind == ANIMATED:
        return ANIMATED
    return str(rng.choice(list(SPRITE if kind == 'sprite' else CAMERA)))


def _part(rng: np.random.Generator, move: str) -> Place:
    """A part of a photograph from which the camera can make the move without leaving it, if that is possible."""
    scale = float(rng.uniform(0.4, 0.6) if move == 'zoom out' else rng.uniform(0.45, 0.75))
    x, y, _, _ = CAMERA.get(move, (0, 0, 0, 0))
    room = 1 - scale
    centre = [
        float(rng.uniform(min(0, -room - min(0, step * scale)), max(0, room - max(0, step * scale)))) for step in (x, y)
    ]
    return Place((centre[0], centre[1]), scale, float(rng.normal(0, 0.05)), bool(rng.uniform() < 0.5))


def _spot(rng: np.random.Generator, move: str) -> Place:
    """A place for an emoji from which it can make the move and stay in the picture, at least in part."""
    scale = float(rng.uniform(0.4, 0.65) if move in SPRITE else rng.uniform(0.45, 0.95))
    room = 1 - scale
    x, y, height, _ = SPRITE.get(move, (0, 0, 0, 0))
    # A drift begins half its way off the middle, and a bounce in the lower half.
    shift = np.array([-x / 2, -y / 2 + (0.2 if height else 0)])
    spread = 0.5 if move in SPRITE else 1.0
    centre = shift + spread * room * rng.uniform(-1, 1, size=2)
    return Place((float(centre[0]), float(centre[1])), scale, float(rng.normal(0, 0.1)), bool(rng.uniform() < 0.5))
