"""The second generation's preprocessor: that of the first, but a text beside the picture is for the pipeline."""

from __future__ import annotations

from typing import Any

from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields
from PIL import Image

from modelscope_i2v.generation.picture_input import picture_of
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.preprocessor import ImageToVideoPreprocessor
from modelscope_i2v.media.images.load import load_image


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=I2VGEN_XL.preprocessor, force=True)
class I2VGenXLPreprocessor(ImageToVideoPreprocessor):
    """Turns pictures into the input of CLIP's image tower, and into a frame of the video.

    The frame is what the video begins with. See :class:`ImageToVideoPreprocessor` for the arguments.
    """

    stage = I2VGEN_XL

    def picture(self, data: Any, background: Any = 'white') -> Image.Image:
        """The picture of an input, read. A text beside it is for the pipeline."""
        return load_image(picture_of(data), background)

    def cropped(self, width: int) -> int | None:
        """The square is cut out at the width of the video, as in the original."""
        return width
