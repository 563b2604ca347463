"""Draw pictures: what a camera sees of a photograph, and sprites in front of it.

Places are in units of half a side: a picture reaches from -1 (left, top) to 1 (right, bottom). All functions take a
batch, which may be the frames of a clip.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

#: Pixels per side of what is drawn.
SIDE = 128


def camera(centre: torch.Tensor, scale: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """The affine map ``[N, 2, 3]`` from the places of a view to those of the photograph that it is a view of.

    Args:
        centre: where the camera looks, ``[N, 2]``, x and y.
        scale: how much of the photograph's width it sees, ``[N]``; 1 is all.
        angle: by how many radians the camera is turned clockwise, ``[N]``. What it sees turns the other way.
    """
    return torch.cat([scale.view(-1, 1, 1) * _turned(angle), centre.unsqueeze(2)], dim=2)


def placement(centre: torch.Tensor, scale: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """The affine map ``[N, 2, 3]`` from the places of a picture to those of a sprite in it.

    Args:
        centre: where the sprite's middle is, ``[N, 2]``.
        scale: the sprite's width in units of the picture's, ``[N]``.
        angle: by how many radians the sprite is turned clockwise, ``[N]``.
    """
    inverse = _turned(-angle) / scale.view(-1, 1, 1)
    return torch.cat([inverse, -inverse @ centre.unsqueeze(2)], dim=2)


def view(photographs: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Photographs ``[N, 3, S, S]`` through cameras: ``[N, 3, SIDE, SIDE]``. Photographs are mirrored at their edges."""
    grid = functional.affine_grid(maps, [len(maps), 3, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(photographs, grid, padding_mode='reflection', align_corners=False)


def over(sprites: torch.Tensor, maps: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Sprites ``[N, 4, S, S]``, RGBA in 0..1 with plain colours, at places in front of ``background`` (0..1)."""
    opacity = sprites[:, 3:]
    # Interpolating plain colours would mix in the colour of what cannot be seen.
    weighted = torch.cat([sprites[:, :3] * opacity, opacity], dim=1)
    grid = functional.affine_grid(maps, [len(maps), 4, SIDE, SIDE], align_corners=False)
    placed = functional.grid_sample(weighted, grid, padding_mode='zeros', align_corners=False)
    return placed[:, :3] + (1 - placed[:, 3:]) * background


def gradient(colours: torch.Tensor, angle: float) -> torch.Tensor:
    """A smooth change between two colours ``[2, 3]`` in 0..1, in the direction of ``angle``: ``[3, SIDE, SIDE]``."""
    places = (torch.arange(SIDE) + 0.5) / (SIDE / 2) - 1
    along = math.cos(angle) * places[None, :] + math.sin(angle) * places[:, None]
    share = (along / (2 * math.sqrt(2)) + 0.5).unsqueeze(0)
    return colours[0].view(3, 1, 1) * (1 - share) + colours[1].view(3, 1, 1) * share


def _turned(angle: torch.Tensor) -> torch.Tensor:
    """Matrices ``[N, 2, 2]`` that turn clockwise, since y points down."""
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)
