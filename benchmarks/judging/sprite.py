"""How a sprite moves before a still background: whether it spins, and whether it bounces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

#: A spin turns by at least this much in all, in degrees.
LEAST_TURN = 45.0
#: A bounce moves up and down by at least this share of the frame's height, and this many times as far as to the sides.
LEAST_BOUNCE, UPRIGHT = 0.03, 1.5
#: Turns from one frame to the next that are tried, in degrees: first coarsely, then around the best one.
COARSE, FINE = np.arange(-45.0, 46.0, 3.0), np.arange(-2.0, 2.1, 0.5)
#: How far a sprite may move from one frame to the next, and how far its outline is left out, as it moves in any case.
REACH, OUTLINE = 12, 3
#: What a turn must gain per degree: where a sprite looks the same from all sides, it does not turn.
GAIN = 1e-4


@dataclass(frozen=True)
class SpriteMove:
    """The move of a sprite against the first frame.

    Attributes:
        path: float64 ``[F, 2]``, how far its centre has moved to the right and down, in pixels.
        turned: float64 ``[F]``, by how much it has turned clockwise, in degrees.
        height: of the frame, in pixels.
    """

    path: np.ndarray
    turned: np.ndarray
    height: int

    @property
    def spins(self) -> bool:
        """Whether it turns in one direction, far enough to be seen."""
        return bool(abs(self.turned[-1]) >= LEAST_TURN)

    @property
    def bounces(self) -> bool:
        """Whether it moves up and down again: mainly upright, and not in one direction only."""
        across, upright = np.ptp(self.path, axis=0)
        steps = np.diff(self.path[:, 1])
        up, down = -steps[steps < 0].sum(), steps[steps > 0].sum()
        there_and_back = min(up, down) > upright / 4
        return bool(upright >= LEAST_BOUNCE * self.height and upright >= UPRIGHT * across and there_and_back)


def sprite_move(frames: np.ndarray, mask: np.ndarray) -> SpriteMove:
    """Follow a sprite through uint8 RGB ``frames`` ``[F, H, W, 3]``.

    From frame to frame its inside is turned and shifted to where it matches best (normalised correlation of grey
    values). Turns of up to 45 degrees per frame and shifts of up to 12 pixels are found.

    Args:
        mask: bool ``[H, W]``, where the sprite is in the first frame.
    """
    import cv2

    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    inside = cv2.erode(mask.astype(np.uint8), np.ones((2 * OUTLINE + 1, 2 * OUTLINE + 1), np.uint8))
    rows, columns = np.nonzero(inside)
    centre = np.array([columns.mean(), rows.mean()])
    path, turned = [centre], [0.0]
    for before, after in pairwise(grey):
        shift, turn = _step(before, after, inside, path[-1], path[-1] - centre, turned[-1])
        path.append(path[-1] + shift)
        turned.append(turned[-1] + turn)
    return SpriteMove(np.stack(path) - centre, np.array(turned), frames.shape[1])


def _step(
    before: np.ndarray, after: np.ndarray, inside: np.ndarray, centre: np.ndarray, shift: np.ndarray, turned: float
) -> tuple[np.ndarray, float]:
    """How far the sprite, which is at ``centre`` and has turned by ``turned``, moves and turns to the next frame."""
    import cv2

    mask = _moved(inside, centre - shift, shift, turned)
    radius = int(np.ceil(np.sqrt(inside.sum() / np.pi) * 1.5))
    x, y = np.rint(centre).astype(int) - radius

    def match(turn: float) -> tuple[float, float, np.ndarray]:
        patches = [_moved(layer, centre, np.zeros(2), turn) for layer in (before, mask)]
        patch, where = (_cut(layer, x, y, 2 * radius + 1) for layer in patches)
        room = _cut(after, x - REACH, y - REACH, 2 * (radius + REACH) + 1)
        likeness = np.nan_to_num(cv2.matchTemplate(room, patch, cv2.TM_CCOEFF_NORMED, mask=where), posinf=-1)
        down, right = np.unravel_index(likeness.argmax(), likeness.shape)
        return float(likeness.max()) - GAIN * abs(turn), turn, np.array([right, down], float) - REACH

    _, best, _ = max((match(turn) for turn in COARSE), key=lambda found: found[0])
    _, turn, step = max((match(best + turn) for turn in FINE), key=lambda found: found[0])
    return step, turn


def _moved(layer: np.ndarray, centre: np.ndarray, shift: np.ndarray, clockwise: float) -> np.ndarray:
    """``layer`` ``[H, W]`` turned around ``centre``, then shifted."""
    import cv2

    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), -clockwise, 1)
    matrix[:, 2] += shift
    return cv2.warpAffine(layer, matrix, layer.shape[::-1])


def _cut(layer: np.ndarray, x: int, y: int, side: int) -> np.ndarray:
    """A square of ``layer`` with its top left corner at ``(x, y)``; 0 outside."""
    padded = np.pad(layer, side)
    return padded[y + side : y + 2 * side, x + side : x + 2 * side]
