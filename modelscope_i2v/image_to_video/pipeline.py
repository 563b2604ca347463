"""Stage 1's pipeline, registered as ModelScope's ``image-to-video-task-pipeline``."""

from __future__ import annotations

from typing import Any

from modelscope.pipelines.builder import PIPELINES

from modelscope_i2v.generation.modelscope_tables import describe_inputs_and_outputs
from modelscope_i2v.generation.picture_pipeline import INPUTS, PicturePipeline
from modelscope_i2v.generation.pipeline import NO_INPUT
from modelscope_i2v.generation.signatures import takes
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO

describe_inputs_and_outputs(IMAGE_TO_VIDEO, INPUTS)


@PIPELINES.register_module(IMAGE_TO_VIDEO.task, module_name=IMAGE_TO_VIDEO.pipeline, force=True)
class ImageToVideoPipeline(PicturePipeline):
    """A picture becomes a video of a few seconds.

    >>> stage1 = pipeline(task='image-to-video', model='damo/Image-to-Video', model_revision='v1.1.0', device='cuda:0')
    >>> stage1('photo.jpg', output_video='video.mp4', seed=1)['output_video']
    'video.mp4'
    """

    stage = IMAGE_TO_VIDEO

    @takes(ImageToVideoArguments)
    def __call__(self, input: Any = NO_INPUT, *positional: Any, **arguments: Any) -> Any:
        """Make a video of the picture ``input``, or a list of videos from a list of pictures; see :meth:`generate`."""
        return self.generate(input, *positional, **arguments)
