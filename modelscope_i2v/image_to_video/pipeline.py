"""Stage 1's pipeline, registered as ModelScope's ``image-to-video-task-pipeline``."""

from __future__ import annotations

from typing import Any

import torch
from modelscope.pipeline_inputs import InputType
from modelscope.pipelines.builder import PIPELINES

from modelscope_i2v.generation.modelscope_tables import describe_inputs_and_outputs
from modelscope_i2v.generation.pipeline import NO_INPUT, GenerationPipeline
from modelscope_i2v.generation.signatures import takes
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.runtime.progress import progress_bar

describe_inputs_and_outputs(IMAGE_TO_VIDEO, [InputType.IMAGE, {'image': InputType.IMAGE, 'text': InputType.TEXT}])


@PIPELINES.register_module(IMAGE_TO_VIDEO.task, module_name=IMAGE_TO_VIDEO.pipeline, force=True)
class ImageToVideoPipeline(GenerationPipeline):
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

    def preprocess(self, inputs: Any, arguments: Any) -> dict[str, Any]:
        image = self.preprocessor.picture(inputs, arguments.background)
        self.check_memory(arguments, InputSize.of(image))  # before a frame of that size is made
        names = ('fit', 'height', 'width')
        prepared: dict[str, Any] = self.preprocessor(image, **{name: getattr(arguments, name) for name in names})
        return prepared

    def forward(self, inputs: dict[str, Any], arguments: Any) -> torch.Tensor:
        with progress_bar('Sampling', arguments.steps_taken, show=arguments.show_progress) as bar:
            made = self.model(**inputs, arguments=arguments, callback=self.after_step(arguments, bar))
            out: torch.Tensor = made['latents']
            return out

    def file_options(self, arguments: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        height, width = inputs['frame'].shape[-2:]
        recipe = {**self.recipe(arguments), 'height': height, 'width': width}
        return {**super().file_options(arguments, inputs), 'recipe': [recipe]}
