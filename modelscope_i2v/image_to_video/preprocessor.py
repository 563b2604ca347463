"""Stage 1's preprocessor: any kind of picture in, the image tower's input out."""

from __future__ import annotations

import os
from typing import Any

import torch
from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import models_with_text
from modelscope_i2v.generation.modelscope_bases import Preprocessor
from modelscope_i2v.generation.picture_input import picture_of, texts_of
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=IMAGE_TO_VIDEO.preprocessor, force=True)
class ImageToVideoPreprocessor(Preprocessor):
    """Turns pictures into the input of CLIP's image tower.

    Args:
        model_dir: the model's folder, as a path or already read. Its CLIP architecture sets the size of the input.

    Raises:
        ConfigurationError: if the configuration is missing or wrong.
    """

    def __init__(self, model_dir: str | os.PathLike[str] | ModelFolder, mode: str = 'inference', **_: Any) -> None:
        super().__init__(mode)
        folder = ModelFolder.of(model_dir, IMAGE_TO_VIDEO)
        with folder.error_context():
            self.image_size = clip_image_size(folder.configuration.clip)

    def __call__(self, data: Any, fit: str = 'crop', background: Any = 'white') -> dict[str, torch.Tensor]:
        """``{'pixel_values': [1, 3, S, S]}`` float32 for a picture of any kind that :func:`load_image` takes.

        Args:
            data: the picture, or ``{'image': picture}``.
            fit: ``'crop'`` or ``'contain'``.
            background: the colour behind transparent parts; None shows the colours hidden there.

        Raises:
            InputError: if the picture cannot be read, or if there is a text, which this stage does not take.
        """
        image = picture_of(data)
        for name in texts_of(data):
            raise InputError(
                f"This model takes no text, found '{name}' beside 'image'. Leave it out. {models_with_text()}"
            )
        seen = load_image(image, background)
        return {'pixel_values': pixel_values(seen, self.image_size, fit, IMAGE_MEAN, IMAGE_STD)}
