"""The second generation's pipeline, registered under the name that existing pages and apps ask for."""

from __future__ import annotations

from typing import Any

from modelscope.pipelines.builder import PIPELINES

from modelscope_i2v.generation.modelscope_tables import describe_inputs_and_outputs
from modelscope_i2v.generation.picture_input import text_of
from modelscope_i2v.generation.picture_pipeline import INPUTS, PicturePipeline
from modelscope_i2v.generation.pipeline import NO_INPUT
from modelscope_i2v.generation.signatures import takes
from modelscope_i2v.i2vgen_xl.arguments import I2VGenXLArguments
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL

describe_inputs_and_outputs(I2VGEN_XL, INPUTS)


@PIPELINES.register_module(I2VGEN_XL.task, module_name=I2VGEN_XL.pipeline, force=True)
class I2VGenXLPipeline(PicturePipeline):
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
