"""How much moves, and whether it is motion at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from modelscope_i2v.metrics.frames import Frames, as_frames, at_least, luma
from modelscope_i2v.metrics.optical_flow import optical_flow, warp_back

#: Below both a clip counts as frozen: what H.264 makes of a repeated photograph stays below (measured: 0.005 pixels and
#: 0.1 levels of 255 at crf 17, 0.03 and 0.3 at crf 35), motion that can be seen lies above.
_FROZEN_FLOW = 0.05
_FROZEN_DIFFERENCE = 1 / 255


@dataclass(frozen=True)
class Motion:
    """Motion of a clip.

    Attributes:
        flow: mean length of the optical flow, pixels per frame, 0 and up; over all pixels, also those that rest.
        difference: mean absolute first difference ``|x[t + 1] - x[t]|`` of all values, 0..1.
        coherence: the share of the change from frame to frame that motion explains, 0..1: one minus the warping error
            ``|W(y[t + 1]) - y[t]|`` by the unwarped ``|y[t + 1] - y[t]|``, both summed over all pixels of luma y and
            frames, W being the warp along the flow (after Lai et al. 2018, arXiv 1808.00449; no mask of occlusions).
            Things that move have nearly 1; a frozen clip, a fade and an alternation of black and white have 0.
    """

    flow: float
    difference: float
    coherence: float

    @property
    def frozen(self) -> bool:
        """Whether nothing moves that could be seen: less than 0.05 pixels per frame and 1/255 of change."""
        return self.flow < _FROZEN_FLOW and self.difference < _FROZEN_DIFFERENCE

    @classmethod
    def of(cls, pairs: torch.Tensor) -> Motion:
        """From what :func:`neighbour_motion` gives, ``[F - 1, 4]``."""
        flow, difference, error, unwarped = pairs.mean(dim=0).tolist()
        return cls(flow, difference, max(0.0, 1 - error / unwarped) if unwarped else 0.0)


def motion(frames: Frames) -> Motion:
    """How much moves in a clip; a frozen one has 0 in everything.

    Motion of more than about a tenth of the frame's side from one frame to the next is underestimated.

    Raises:
        InputError: for fewer than 2 frames.
    """
    return Motion.of(neighbour_motion(at_least(as_frames(frames), 2, 'Motion')))


def neighbour_motion(frames: torch.Tensor) -> torch.Tensor:
    """``[F, 3, H, W]`` -> ``[F - 1, 4]``: of each frame and the one after it the mean length of the flow in pixels, the
    mean absolute difference, and of luma the mean warping error and the mean absolute difference.
    """
    differences = (frames[1:] - frames[:-1]).abs().mean(dim=(1, 2, 3)).tolist()
    brightness = luma(frames).mul(255).round().byte().cpu().numpy()
    pairs = zip(differences, brightness, brightness[1:], strict=False)
    measures = [(difference, *_flow_measures(before, after)) for difference, before, after in pairs]
    return torch.tensor([(flow, difference, *rest) for difference, flow, *rest in measures]).view(len(frames) - 1, 4)


def _flow_measures(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    flow = optical_flow(before, after)
    start, end = before.astype(np.float32) / 255, after.astype(np.float32) / 255
    error = np.abs(warp_back(end, flow) - start).mean()
    return float(np.hypot(flow[..., 0], flow[..., 1]).mean()), float(error), float(np.abs(end - start).mean())
