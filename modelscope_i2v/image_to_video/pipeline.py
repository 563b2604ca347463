"""Stage 1's pipeline, registered as ModelScope's ``image-to-video-task-pipeline``."""

from __future__ import annotations

from typing import Any

import torch
from modelscope.pipeline_inputs import InputType
from modelscope.pipelines.builder import PIPELINES

from modelscope_i2v.generation.arguments import ImageToVideoArguments
from modelscope_i2v.generation.pipeline import GenerationPipeline
from modelscope_i2v.image_to_video.model import ImageToVideoModel
from modelscope_i2v.image_to_video.preprocessor import ImageToVideoPreprocessor
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, register_inputs_and_outputs
from modelscope_i2v.runtime.progress import progress_bar

register_inputs_and_outputs(IMAGE_TO_VIDEO, [InputType.IMAGE, {'image': InputType.IMAGE, 'text': InputType.TEXT}])


@PIPELINES.register_module(IMAGE_TO_VIDEO.task, module_name=IMAGE_TO_VIDEO.pipeline, force=True)
class ImageToVideoPipeline(GenerationPipeline):
    """A picture becomes a video of a few seconds.

    >>> stage1 = pipeline(task='image-to-video', model='damo/Image-to-Video', model_revision='v1.1.0', device='cuda:0')
    >>> stage1('photo.jpg', output_video='video.mp4', seed=1)['output_video']
    'video.mp4'
    """

    stage = IMAGE_TO_VIDEO
    model_type = ImageToVideoModel
    preprocessor_type = ImageToVideoPreprocessor
    arguments_type = ImageToVideoArguments

    def preprocess(self, inputs: Any, arguments: ImageToVideoArguments) -> dict[str, Any]:  # type: ignore[override]
        return self.preprocessor(inputs, fit=arguments.fit)

    def forward(self, inputs: dict[str, Any], arguments: ImageToVideoArguments) -> torch.Tensor:  # type: ignore[override]
        with progress_bar('Sampling', int(arguments.steps or 0), show=arguments.show_progress) as bar:
            return self.model(inputs['pixel_values'], arguments, self._callback(arguments, bar))['latents']
