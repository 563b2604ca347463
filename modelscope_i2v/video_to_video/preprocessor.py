"""Stage 2's preprocessor: any kind of video in, a stream of frames of a legal size out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any

import torch
from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields

from modelscope_i2v.errors import InputError, nearest, shown
from modelscope_i2v.generation.geometry import Placement
from modelscope_i2v.generation.modelscope_bases import Preprocessor
from modelscope_i2v.media.reading.open import VideoSource, open_video
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.video_to_video.configuration import VideoToVideoConfiguration
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedVideo:
    """A video, prepared for stage 2.

    Attributes:
        source: where the frames come from.
        placement: where they lie on the canvas that the network sees.
        num_frames: how many of them are used; None means all.
        times: the times in seconds of the frames streamed so far; None for a time that the source does not know.
        durations: how many seconds the source shows each of them; None if it does not say.
    """

    source: VideoSource
    placement: Placement
    num_frames: int | None
    times: list[Fraction | None] = field(default_factory=list)
    durations: list[Fraction | None] = field(default_factory=list)

    def frames(self) -> Iterator[torch.Tensor]:
        """Frames ``[3, canvas height, canvas width]`` float32 in [-1, 1], decoded one by one.

        Raises:
            InputError: for a frame that cannot be decoded, or fewer frames than wanted.
        """
        self.times.clear()
        self.durations.clear()
        for frame in islice(self.source.frames(), self.num_frames):
            pixels = torch.from_numpy(frame.pixels).permute(2, 0, 1).float().div_(255).sub_(0.5).div_(0.5)
            yield self.placement.place(pixels.unsqueeze(0))[0]
            self.times.append(frame.time)
            self.durations.append(frame.duration)
        if self.num_frames is not None and len(self.times) < self.num_frames:
            raise InputError(
                f"'num_frames' is {self.num_frames}, but {self.source.name} has only {len(self.times)} frames. Ask for "
                'fewer, or leave num_frames out to take them all.'
            )


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=VIDEO_TO_VIDEO.preprocessor, force=True)
class VideoToVideoPreprocessor(Preprocessor):
    """Opens videos and decides on their size.

    Args:
        model_dir: the model's folder, as a path or already read. It says which sizes the networks can take.

    Raises:
        ConfigurationError: if the configuration is missing or wrong.
    """

    def __init__(self, model_dir: str | os.PathLike[str] | ModelFolder, mode: str = 'inference', **_: Any) -> None:
        super().__init__(mode)
        folder = ModelFolder.of(model_dir, VIDEO_TO_VIDEO)
        self.configuration: VideoToVideoConfiguration = folder.configuration  # type: ignore[assignment]

    def __call__(
        self,
        data: Any,
        *,
        num_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        fit: str = 'keep',
        background: Any = 'white',
    ) -> dict[str, PreparedVideo]:
        """``{'video': PreparedVideo}`` for a video of any kind that :func:`open_video` takes.

        Args:
            data: the video, or ``{'video_path': video, 'text': ...}``.
            num_frames: use only this many frames from the start; None means all.
            height, width: in pixels. Both stretch the video, one keeps its aspect ratio, none keeps it at the
                configured area.
            fit: ``'keep'`` or ``'stretch'`` (to the configured size, unless another is given).
            background: the colour behind transparent parts; None shows the colours hidden there.

        Raises:
            InputError: if the video cannot be read, or for a size that the networks cannot take.
        """
        if isinstance(data, Mapping):
            if 'video_path' not in data:
                found = ', '.join(sorted(map(shown, data)))
                raise InputError(f"A dict input needs the key 'video_path', found [{found[:200]}].")
            for name in set(data) - {'video_path', 'text'}:
                logger.warning('Ignoring %s in the input.%s', shown(name), nearest(shown(name), ('video_path', 'text')))
            data = data['video_path']
        source = data if isinstance(data, VideoSource) else open_video(data, background)
        placement = self.configuration.placement(source.aspect, height=height, width=width, fit=fit)
        return {'video': PreparedVideo(source, placement, num_frames)}
