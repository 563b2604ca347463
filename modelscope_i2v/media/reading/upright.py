"""How a decoded frame is to be turned before it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Orientation:
    """The way from the coded picture to the upright one: rows become columns, then each axis may be reversed."""

    turned: bool = False
    upside_down: bool = False
    mirrored: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """What the display matrix of ``frame`` says. It holds for the whole video.

        Do not ask every frame: a frame that was asked for its side data is part of a circle of references, and stays
        in memory until the garbage collector finds it.
        """
        matrix = _display_matrix(frame)
        if matrix is None:
            return cls()
        turned = abs(matrix[0, 1]) > abs(matrix[0, 0])
        across, down = matrix[:, ::-1] if turned else matrix
        # Only the diagonal counts. If an entry is negative, its axis runs backwards.
        return cls(bool(turned), bool(down[1] < 0), bool(across[0] < 0))

    def upright(self, rgb: np.ndarray) -> np.ndarray:
        """Pixels ``[H, W, 3]``, turned upright."""
        if self == Orientation():
            return rgb
        if self.turned:
            rgb = rgb.transpose(1, 0, 2)
        return np.ascontiguousarray(rgb[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1])


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """The linear part ``[[xx, xy], [yx, yy]]`` of the display matrix: shown x = xx * x + xy * y; None without one."""
    from av.sidedata.sidedata import Type

    found = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if found is None:
        return None
    # Nine 32-bit numbers, row vectors times matrix: a b u / c d v / x y w.
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].astype(int)
    return np.array([[a, c], [b, d]])
