"""How the camera moves in a video: pan, zoom and rotation, from dense optical flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from modelscope_i2v.metrics.frames import as_frames, luma
from modelscope_i2v.metrics.optical_flow import optical_flow

#: What a text asks of the camera -> the part of :class:`CameraMove` that it changes, and its sign. A camera that turns
#: left shows what is seen moving right; one that rotates left shows it turning clockwise.
DIRECTIONS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        'zoom in': ('zoom', 1),
        'zoom out': ('zoom', -1),
        'pan left': ('right', 1),
        'pan right': ('right', -1),
        'pan up': ('down', 1),
        'pan down': ('down', -1),
        'rotate left': ('clockwise', 1),
        'rotate right': ('clockwise', -1),
    }
)
#: Pixels per frame, for a frame of 128 pixels: less than this is no move. At 16 frames it adds up to two pixels.
NO_MOVE = 1 / 8
#: How often the fit leaves out the pixels that it explains worst, and the share it keeps: a sprite moves by itself.
ROUNDS, KEPT = 5, 0.7


@dataclass(frozen=True)
class CameraMove:
    """The move of everything seen, from one frame to the next, in the mean over a video.

    Attributes:
        right, down: shift of the centre, in pixels per frame.
        zoom: growth. 0.01 is one per cent per frame.
        clockwise: rotation around the centre, in radians per frame.
        side: the longer side of the frames, in pixels.
    """

    right: float
    down: float
    zoom: float
    clockwise: float
    side: int

    def pixels(self, part: str) -> float:
        """A part in pixels per frame: of the centre, or for ``'zoom'`` and ``'clockwise'`` of the longer side's end."""
        value: float = getattr(self, part)
        return value * self.side / 2 if part in ('zoom', 'clockwise') else value

    def obeys(self, text: str) -> bool:
        """Whether the camera moves as ``text``, one of :data:`DIRECTIONS`, says."""
        part, sign = DIRECTIONS[text]
        return sign * self.pixels(part) > NO_MOVE * self.side / 128


def camera_move(frames: np.ndarray) -> CameraMove:
    """The camera's move in uint8 RGB ``frames`` ``[F, H, W, 3]``, at least two of them.

    Between two frames the flow of a camera is ``shift + zoom (x, y) + clockwise (-y, x)``, with ``(x, y)`` from the
    centre. The four numbers are fitted by least squares to all pixels with texture, then again without those that they
    explain worst.
    """
    brightness = luma(as_frames(frames)).mul(255).round().byte().numpy()
    right, down, zoom, clockwise = np.mean(
        [_fit(before, after) for before, after in pairwise(brightness)], axis=0
    ).tolist()
    return CameraMove(right, down, zoom, clockwise, max(frames.shape[1:3]))


def _fit(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Shift to the right and down, zoom, rotation between two frames of brightness."""
    flow = optical_flow(before, after)
    height, width = before.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    # The flow of flat areas is 0 whatever the camera does.
    rows, columns = np.gradient(before.astype(np.float32))
    textured = np.hypot(rows, columns) > 1
    if textured.sum() < 16:
        return np.zeros(4)
    x, y, u, v = (values[textured].astype(np.float64) for values in (x, y, flow[..., 0], flow[..., 1]))
    one, zero = np.ones_like(x), np.zeros_like(x)
    equations = np.stack([np.stack([one, zero, x, -y], 1), np.stack([zero, one, y, x], 1)], 1)  # [N, 2, 4]
    moved = np.stack([u, v], 1)
    keep = np.ones(len(x), dtype=bool)
    for _ in range(ROUNDS):
        fitted, *_ = np.linalg.lstsq(equations[keep].reshape(-1, 4), moved[keep].ravel(), rcond=None)
        errors = np.linalg.norm(equations @ fitted - moved, axis=1)
        keep = errors <= np.quantile(errors, KEPT)
    return np.asarray(fitted)
