"""How stage 2 is trained: on a clip's text, at the noise levels that generation starts from."""

from __future__ import annotations

from typing import Any

import torch

from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.training.data.clips import Clip, to_pixels
from modelscope_i2v.training.stages import StageTraining
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO


class VideoToVideoTraining(StageTraining):
    """Stage 2: conditioned on a clip's text, with the prompt suffix that generation adds, too.

    It learns to denoise the clips, up to the noise level that generation starts at. It does not learn to restore what
    an input video lacks (see ``source`` of :class:`~modelscope_i2v.training.objective.Objective`).
    """

    stage = VIDEO_TO_VIDEO
    takes_fps = False

    @torch.no_grad()
    def condition(self, clip: Clip) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_text(clip.text, self.model.configuration.positive_prompt)
        return features[0]

    @torch.no_grad()
    def unconditional(self) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_text('')
        return features[0]

    def generate(self, clip: Clip, **arguments: Any) -> torch.Tensor:
        resolved = self.resolve({'text': clip.text, **arguments})
        return self._decoded(self.model(iter(to_pixels(clip.frames)), resolved)['latents'])

    def reference(self, clip: Clip) -> dict[str, Any]:
        return {'source': open_video(clip.frames)}

    def num_timesteps(self) -> int:
        return int(self.resolve({}).noise_level)
