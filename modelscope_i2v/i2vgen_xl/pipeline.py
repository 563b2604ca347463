"""The second generation's pipeline, registered under the name that existing pages and apps ask for."""

from __future__ import annotations

from typing import Any

import torch
from modelscope.pipelines.builder import PIPELINES

from modelscope_i2v.generation.picture_input import picture_of, text_of
from modelscope_i2v.generation.pipeline import NO_INPUT
from modelscope_i2v.generation.signatures import takes
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.i2vgen_xl.arguments import I2VGenXLArguments
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.pipeline import ImageToVideoPipeline
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.runtime.progress import progress_bar


@PIPELINES.register_module(I2VGEN_XL.task, module_name=I2VGEN_XL.pipeline, force=True)
class I2VGenXLPipeline(ImageToVideoPipeline):
    """A picture and a text become a video that begins with the picture.

    >>> second = modelscope_i2v.load('models/I2VGen-XL', device='cuda:0')
    >>> second('photo.jpg', text='a red fox in snow', output_video='video.mp4', seed=1)['output_video']
    'video.mp4'
    """

    stage = I2VGEN_XL

    @takes(I2VGenXLArguments)
    def __call__(self, input: Any = NO_INPUT, *positional: Any, **arguments: Any) -> Any:
        """Make a video of the picture ``input``, or a list of videos from a list of pictures; see :meth:`generate`."""
        return self.generate(input, *positional, **arguments)

    def arguments_of(self, input: Any) -> dict[str, Any]:
        return text_of(input)

    def preprocess(self, inputs: Any, arguments: Any) -> dict[str, Any]:
        image = load_image(picture_of(inputs), arguments.background)
        self.check_memory(arguments, InputSize.of(image))  # before a frame of that size is made
        names = ('fit', 'height', 'width')
        prepared: dict[str, Any] = self.preprocessor(image, **{name: getattr(arguments, name) for name in names})
        return prepared

    def forward(self, inputs: dict[str, Any], arguments: Any) -> torch.Tensor:
        with progress_bar('Sampling', int(arguments.steps or 0), show=arguments.show_progress) as bar:
            made = self.model(inputs['pixel_values'], inputs['frame'], arguments, self.after_step(arguments, bar))
            out: torch.Tensor = made['latents']
            return out

    def file_options(self, arguments: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        height, width = inputs['frame'].shape[-2:]
        recipe = {**self.recipe(arguments), 'height': height, 'width': width}
        return {**super().file_options(arguments, inputs), 'recipe': [recipe]}
