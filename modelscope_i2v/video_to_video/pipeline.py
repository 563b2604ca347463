"""Stage 2's pipeline, registered as ModelScope's ``video-to-video-pipeline``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from modelscope.pipeline_inputs import InputType
from modelscope.pipelines.builder import PIPELINES
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.modelscope_tables import describe_inputs_and_outputs
from modelscope_i2v.generation.pipeline import NO_INPUT, GenerationPipeline
from modelscope_i2v.generation.signatures import takes
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.media.limits import MAX_FPS, MAX_SIDE
from modelscope_i2v.media.writing.write import check_sound_track
from modelscope_i2v.runtime.progress import progress_bar
from modelscope_i2v.video_to_video.arguments import VideoToVideoArguments
from modelscope_i2v.video_to_video.frame_rate import output_clock
from modelscope_i2v.video_to_video.preprocessor import PreparedVideo
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO

describe_inputs_and_outputs(VIDEO_TO_VIDEO, {'video_path': InputType.VIDEO, 'text': InputType.TEXT})


@PIPELINES.register_module(VIDEO_TO_VIDEO.task, module_name=VIDEO_TO_VIDEO.pipeline, force=True)
class VideoToVideoPipeline(GenerationPipeline):
    """A video becomes a sharper one of higher resolution. Its frame rate and sound stay the same.

    >>> stage2 = pipeline(task='video-to-video', model='damo/Video-to-Video', model_revision='v1.1.0', device='cuda:0')
    >>> stage2({'video_path': 'video.mp4', 'text': 'a red fox'}, output_video='sharper.mp4')['output_video']
    'sharper.mp4'
    """

    stage = VIDEO_TO_VIDEO

    @takes(VideoToVideoArguments)
    def __call__(self, input: Any = NO_INPUT, *positional: Any, **arguments: Any) -> Any:
        """Make the video ``input`` sharper, or each video of a list; see :meth:`generate`."""
        return self.generate(input, *positional, **arguments)

    def arguments_of(self, input: Any) -> dict[str, Any]:
        return {'text': input['text']} if isinstance(input, Mapping) and 'text' in input else {}

    def preprocess(self, inputs: Any, arguments: VideoToVideoArguments) -> dict[str, Any]:
        names = ('num_frames', 'height', 'width', 'fit', 'background')
        prepared: dict[str, Any] = self.preprocessor(inputs, **{name: getattr(arguments, name) for name in names})
        # Refuse now, not after sampling, what the file could not hold.
        video: PreparedVideo = prepared['video']
        for side in (video.placement.height, video.placement.width):
            if side > MAX_SIDE:
                raise InputError(
                    f'{video.source.name} is so wide or so tall that the result would have {side} pixels on a side; at '
                    f"most {MAX_SIDE} can be written. Give both 'height' and 'width'."
                )
        check_sound_track(video.source, arguments.sound_track)
        if arguments.output_fps is None and (video.source.fps or 0) > MAX_FPS:
            raise InputError(
                f"{video.source.name} has {video.source.fps:g} frames per second, which is too many. Give 'output_fps'."
            )
        return prepared

    def is_one(self, input: Any) -> bool:
        """A list of pictures is one video."""
        return isinstance(input, list) and len(input) > 0 and all(isinstance(item, Image.Image) for item in input)

    def forward(self, inputs: dict[str, Any], arguments: VideoToVideoArguments) -> torch.Tensor:
        video: PreparedVideo = inputs['video']
        with progress_bar('Sampling', int(arguments.steps or 0), show=arguments.show_progress) as bar:
            out: torch.Tensor = self.model(video.frames(), arguments, self.after_step(arguments, bar))['latents']
            return out

    def input_size(self, inputs: dict[str, Any]) -> InputSize | None:
        return InputSize.of(inputs['video'].source)

    def finish(self, frames: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        out: torch.Tensor = inputs['video'].placement.cut(frames)
        return out

    def file_options(self, arguments: VideoToVideoArguments, inputs: dict[str, Any]) -> dict[str, Any]:
        video: PreparedVideo = inputs['video']
        target_fps = float(self.model.configuration.target_fps)
        last = video.durations[-1] if video.durations else None
        clock = output_clock(video.source, video.times, last, arguments.output_fps, target_fps)
        made = {
            'num_frames': len(video.times),
            'height': video.placement.height,
            'width': video.placement.width,
            'output_fps': clock.fps,
            'window_overlap': self.model.configuration.window_overlap(arguments, len(video.times)),
        }
        recipe = [*video.source.recipe, {**self.recipe(arguments), **made}]
        return {
            'fps': clock.fps,
            'recipe': recipe,
            'times': clock.times,
            'last_duration': clock.last_duration,
            'sound': clock.sound,
            'sound_track': arguments.sound_track,
        }
