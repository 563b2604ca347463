"""How much a video moves, and whether the change is motion at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from modelscope_i2v.metrics.frames import Frames, as_frames, at_least, luma
from modelscope_i2v.metrics.optical_flow import optical_flow, warp_back

#: A clip below both limits counts as frozen. A repeated photograph encoded with H.264 stays below them (measured: 0.005
#: pixels and 0.1 levels of 255 at crf 17, 0.03 and 0.3 at crf 35); visible motion is above.
_FROZEN_FLOW = 0.05
_FROZEN_DIFFERENCE = 1 / 255


@dataclass(frozen=True)
class Motion:
    """The motion of a clip.

    Attributes:
        flow: mean length of the optical flow in pixels per frame, at least 0. Pixels that do not move count too.
        difference: mean absolute first difference ``|x[t + 1] - x[t]|`` of all values, 0..1.
        coherence: the share of the change from frame to frame that motion explains, 0..1: one minus the warping error
            ``|W(y[t + 1]) - y[t]|`` divided by the unwarped ``|y[t + 1] - y[t]|``, both summed over all pixels of luma
            y and all frames. W is the warp along the flow (after Lai et al. 2018, arXiv 1808.00449; without a mask of
            occlusions). Real motion scores nearly 1; a frozen clip, a fade, and a clip that alternates between black
            and white score 0.
    """

    flow: float
    difference: float
    coherence: float

    @property
    def frozen(self) -> bool:
        """Whether there is no visible motion: less than 0.05 pixels per frame and less than 1/255 of change."""
        return self.flow < _FROZEN_FLOW and self.difference < _FROZEN_DIFFERENCE

    @classmethod
    def of(cls, pairs: torch.Tensor) -> Motion:
        """Build it from the result of :func:`neighbour_motion`, ``[F - 1, 4]``."""
        flow, difference, error, unwarped = pairs.mean(dim=0).tolist()
        return cls(flow, difference, max(0.0, 1 - error / unwarped) if unwarped else 0.0)


def motion(frames: Frames) -> Motion:
    """How much moves in a clip; all values of a frozen clip are 0.

    Motion of more than about a tenth of the frame's side from one frame to the next is underestimated.

    Raises:
        InputError: for fewer than 2 frames.
    """
    return Motion.of(neighbour_motion(at_least(as_frames(frames), 2, 'Motion')))


def neighbour_motion(frames: torch.Tensor) -> torch.Tensor:
    """``[F, 3, H, W]`` -> ``[F - 1, 4]``. For each pair of successive frames: the mean length of the flow in pixels,
    the mean absolute difference, and in luma the mean warping error and the mean absolute difference.
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
