"""Fitting frames of any size into sizes that a network takes, and back."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from modelscope_i2v.checks import integer, legal_size
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.media.limits import MAX_SIDE

#: The share by which an aspect ratio may change: sizes are even numbers of pixels.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Grid:
    """Legal sizes in pixels: ``height_remainder`` modulo ``height_multiple``, and multiples of ``width_multiple``."""

    height_multiple: int
    height_remainder: int
    width_multiple: int

    def check(self, height: int | None = None, width: int | None = None) -> None:
        """Raise InputError, naming the nearest legal sizes, for a side that is not on the grid."""
        if height is not None:
            legal_size('height', height, self.height_multiple, self.height_remainder)
        if width is not None:
            legal_size('width', width, self.width_multiple)

    def check_configured(self, height: Any, width: Any) -> None:
        """Raise ConfigurationError unless a configuration's sides are whole numbers of pixels on the grid."""
        sides = (integer(name, side, 1, MAX_SIDE) for name, side in (('height', height), ('width', width)))
        try:
            self.check(*sides)
        except InputError as error:
            raise ConfigurationError(str(error)) from error

    def heights(self, near: float) -> list[int]:
        """The legal heights around ``near``, at most two on each side."""
        return _around(near, self.height_multiple, self.height_remainder)

    def widths(self, near: float) -> list[int]:
        """The legal widths around ``near``, at most two on each side."""
        return _around(near, self.width_multiple, 0)


@dataclass(frozen=True)
class Placement:
    """Where a frame's ``content`` lies on the ``canvas`` that the network sees; all in pixels."""

    canvas_height: int
    canvas_width: int
    height: int
    width: int

    @property
    def top(self) -> int:
        return (self.canvas_height - self.height) // 2

    @property
    def left(self) -> int:
        return (self.canvas_width - self.width) // 2

    def place(self, frames: torch.Tensor) -> torch.Tensor:
        """Scale ``[N, 3, H, W]`` to the content's size and continue its edges to fill the canvas.

        Bilinear without antialiasing, as in the original implementation.
        """
        frames = F.interpolate(frames, size=(self.height, self.width), mode='bilinear')
        right = self.canvas_width - self.width - self.left
        bottom = self.canvas_height - self.height - self.top
        return F.pad(frames, (self.left, right, self.top, bottom), mode='replicate')

    def cut(self, frames: torch.Tensor) -> torch.Tensor:
        """The content of ``[N, 3, canvas height, canvas width]``."""
        return frames[..., self.top : self.top + self.height, self.left : self.left + self.width]


def stretch(height: int, width: int) -> Placement:
    """Exactly ``height`` x ``width``, whatever the aspect ratio."""
    return Placement(height, width, height, width)


def keep_aspect(
    aspect: float, grid: Grid, *, area: int, height: int | None = None, width: int | None = None
) -> Placement:
    """The size closest to ``area`` pixels that has ``aspect`` (width / height), on the smallest fitting legal canvas.

    With ``height`` or ``width`` given, that side is exact and the other follows.

    Raises:
        InputError: no size keeps the aspect ratio within ``TOLERANCE``.
    """
    placed = _closest(aspect, grid, area, height, width)
    if _distortion(placed, aspect) > TOLERANCE:
        raise InputError(
            f'A video of the aspect ratio {aspect:.4g}:1 would become {placed.width} x {placed.height} pixels, which '
            f"distorts it. Crop it first, ask for a larger size, or give both 'height' and 'width' to stretch it."
        )
    return placed


def closest_canvas(
    aspect: float, grid: Grid, *, area: int, height: int | None = None, width: int | None = None
) -> tuple[int, int]:
    """Height and width of the canvas of :func:`keep_aspect`, for a picture that is cut or padded to fill it.

    Nothing is stretched, so no aspect ratio is refused.
    """
    placed = _closest(aspect, grid, area, height, width)
    return placed.canvas_height, placed.canvas_width


def _closest(aspect: float, grid: Grid, area: int, height: int | None, width: int | None) -> Placement:
    """What :func:`keep_aspect` chooses, however much that changes the aspect ratio."""
    if height is not None:
        content = (height, _side(height * aspect))
        return Placement(height, min(size for size in grid.widths(content[1]) if size >= content[1]), *content)
    if width is not None:
        content = (_side(width / aspect), width)
        return Placement(min(size for size in grid.heights(content[0]) if size >= content[0]), width, *content)
    canvases = itertools.product(grid.heights(math.sqrt(area / aspect)), grid.widths(math.sqrt(area * aspect)))
    fitted = [_largest(aspect, *canvas) for canvas in canvases]
    kept = [placement for placement in fitted if _distortion(placement, aspect) <= TOLERANCE]
    return min(kept or fitted, key=lambda placement: _cost(placement, area))


def _largest(aspect: float, canvas_height: int, canvas_width: int) -> Placement:
    """The largest content on a canvas that keeps ``aspect``, as far as even sizes allow."""
    if canvas_width / canvas_height > aspect:
        height, width = canvas_height, min(canvas_width, _even(canvas_height * aspect))
    else:
        height, width = min(canvas_height, _even(canvas_width / aspect)), canvas_width
    largest = Placement(canvas_height, canvas_width, height, width)
    if _distortion(largest, aspect) <= TOLERANCE:
        return largest
    # A side is so short that rounding it changes the shape. A smaller content may fit better.
    for shorter in (*range(min(height, width) // 2 * 2, 0, -2), 1):
        longer = min(_even(shorter * max(aspect, 1 / aspect)), canvas_width if aspect > 1 else canvas_height)
        height, width = (shorter, longer) if aspect > 1 else (longer, shorter)
        smaller = Placement(canvas_height, canvas_width, height, width)
        if height <= canvas_height and width <= canvas_width and _distortion(smaller, aspect) <= TOLERANCE:
            return smaller
    return largest


def _distortion(placement: Placement, aspect: float) -> float:
    """How much longer one side is than it should be, as a share."""
    stretched = placement.width / placement.height / aspect
    return max(stretched, 1 / stretched) - 1


def _cost(placement: Placement, area: int) -> float:
    """How far a placement is from the wanted area, plus the share of the canvas that it wastes."""
    content = placement.height * placement.width
    wasted = 1 - content / (placement.canvas_height * placement.canvas_width)
    return abs(math.log(content / area)) + wasted


def _side(size: float) -> int:
    """A whole number close to ``size``: an even one unless that changes the aspect ratio too much."""
    even = _even(size)
    return even if max(even / size, size / even) - 1 <= TOLERANCE else max(1, round(size))


def _even(size: float) -> int:
    """The nearest even size, at least 2: video codecs halve the resolution of colour."""
    return max(2, 2 * round(size / 2))


def _around(near: float, multiple: int, remainder: int) -> list[int]:
    first = math.floor((near - remainder) / multiple)
    sizes = (step * multiple + remainder for step in range(first - 1, first + 3))
    return [size for size in sizes if size > 0]
