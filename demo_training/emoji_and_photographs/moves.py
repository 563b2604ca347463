"""Moves of a camera and of sprites, by name: what a text asks for is one definite motion.

If a name stood for many speeds, a model would learn their blurred mean. So all moves are steady, and only what a name
leaves open varies between clips.
"""

from __future__ import annotations

import math

import torch

from demo_training.emoji_and_photographs.rendering import camera, placement

#: Frames in a clip and frames per second.
NUM_FRAMES, FPS = 16, 8
#: What the camera sees at the end of 'zoom in', in units of what it sees at first; 'zoom out' is the reverse.
ZOOM = 0.87
#: How far the camera goes in a clip, in units of half a side, and how many radians it turns.
PAN, TURN = 0.24, 0.2
#: Camera moves by name: the change of x, y, the logarithm of the scale, and the angle.
#: 'pan left' turns the camera to the left, so what is seen moves to the right; 'rotate left' turns what is seen
#: clockwise.
CAMERA: dict[str, tuple[float, float, float, float]] = {
    'still': (0, 0, 0, 0),
    'zoom in': (0, 0, math.log(ZOOM), 0),
    'zoom out': (0, 0, -math.log(ZOOM), 0),
    'pan left': (-PAN, 0, 0, 0),
    'pan right': (PAN, 0, 0, 0),
    'pan up': (0, -PAN, 0, 0),
    'pan down': (0, PAN, 0, 0),
    'rotate left': (0, 0, 0, -TURN),
    'rotate right': (0, 0, 0, TURN),
}
#: How far a sprite goes in a clip, how high it bounces, how long a bounce takes in frames, how far 'spin' turns it.
DRIFT, BOUNCE, BOUNCE_FRAMES, SPIN = 0.3, 0.22, 8, math.pi / 3
#: Sprite moves by name: the change of x and y, the height of its bounces, and the angle.
SPRITE: dict[str, tuple[float, float, float, float]] = {
    'bounce': (0, 0, BOUNCE, 0),
    'spin': (0, 0, 0, SPIN),
    'drift left': (-DRIFT, 0, 0, 0),
    'drift right': (DRIFT, 0, 0, 0),
    'drift up': (0, -DRIFT, 0, 0),
    'drift down': (0, DRIFT, 0, 0),
}
#: The move of a sprite that plays its own animation. It also hops a little: animations differ so much that a model
#: learns their mean, in which hardly anything moves.
ANIMATED, HOP = 'animated', 0.11
#: All moves of a sprite before its background, and that of one which stands there.
SPRITE_MOVES = {**SPRITE, ANIMATED: (0.0, 0.0, HOP, 0.0)}
STANDS = (0.0, 0.0, 0.0, 0.0)


def camera_maps(move: str, num_frames: int = NUM_FRAMES) -> torch.Tensor:
    """Affine maps ``[F, 2, 3]`` from the places of each frame to those of the first one, for a camera move."""
    x, y, scale, angle = CAMERA[move]
    share = _shares(num_frames)
    centre = share[:, None] * torch.tensor([x, y])
    return camera(centre, (share * scale).exp(), share * angle)


def sprite_maps(
    move: str | None, centre: tuple[float, float], scale: float, angle: float = 0.0, num_frames: int = NUM_FRAMES
) -> torch.Tensor:
    """Affine maps ``[F, 2, 3]`` from the places of each frame to those of a sprite, for a move of it (None: none).

    Args:
        centre, scale, angle: where the sprite is in the first frame, see
            :func:`~demo_training.emoji_and_photographs.rendering.placement`.
    """
    x, y, height, turn = STANDS if move is None else SPRITE_MOVES[move]
    share = _shares(num_frames)
    path = torch.tensor(centre) + share[:, None] * torch.tensor([x, y])
    path[:, 1] -= height * (math.pi * torch.arange(num_frames) / BOUNCE_FRAMES).sin().abs()
    return placement(path, torch.full((num_frames,), scale), angle + share * turn)


def chained(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The affine maps ``[N, 2, 3]`` that apply ``first``, then ``second``."""
    linear, shift = second[..., :2], second[..., 2:]
    moved = linear @ first
    moved[..., 2:] = moved[..., 2:] + shift
    return moved


def _shares(num_frames: int) -> torch.Tensor:
    """How much of a clip has passed at each frame. Speeds are those of a clip of :data:`NUM_FRAMES` frames."""
    return torch.arange(num_frames, dtype=torch.float32) / (NUM_FRAMES - 1)
