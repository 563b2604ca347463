"""Converts a decoded frame to upright RGB pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av


def upright_pixels(frame: av.VideoFrame) -> np.ndarray:
    """The frame as uint8 RGB ``[H, W, 3]``, rotated and mirrored as the file specifies.

    Colours match OpenCV bit for bit; the original implementation reads videos with it. They are converted with the
    matrix and range that the file declares, or BT.601 and limited range if it declares none. Transparency is dropped.
    """
    from av.video.reformatter import Interpolation

    rgb = frame.reformat(format='rgb24', interpolation=Interpolation.BICUBIC, threads=1).to_ndarray()
    matrix = display_matrix(frame)
    if matrix is None:
        return rgb
    across, down = matrix
    if is_turned(frame):
        rgb = rgb.transpose(1, 0, 2)
        across, down = across[::-1], down[::-1]
    # Only the diagonal is left. If an entry is negative, its axis runs backwards.
    return np.ascontiguousarray(rgb[:: -1 if down[1] < 0 else 1, :: -1 if across[0] < 0 else 1])


def is_turned(frame: av.VideoFrame) -> bool:
    """Whether rows of the coded picture are displayed as columns: a quarter turn, with or without mirroring."""
    matrix = display_matrix(frame)
    return matrix is not None and abs(matrix[0, 1]) > abs(matrix[0, 0])


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """The linear part ``[[xx, xy], [yx, yy]]`` of the display matrix: shown x = xx * x + xy * y; None without one."""
    from av.sidedata.sidedata import Type

    found = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if found is None:
        return None
    # Nine 32-bit numbers, row vectors times matrix: a b u / c d v / x y w.
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].astype(int)
    return np.array([[a, c], [b, d]])
