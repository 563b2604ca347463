"""The second generation's preprocessor: any kind of picture in, what CLIP and the autoencoder see of it out."""

from __future__ import annotations

import os
from typing import Any

import torch
from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.modelscope_bases import Preprocessor
from modelscope_i2v.generation.picture_input import picture_of
from modelscope_i2v.i2vgen_xl.configuration import I2VGenXLConfiguration
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.media.images.conditioning import frame_values, pixel_values
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.media.limits import MAX_SIDE
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=I2VGEN_XL.preprocessor, force=True)
class I2VGenXLPreprocessor(Preprocessor):
    """Turns pictures into the input of CLIP's image tower, and into a frame of the video.

    Args:
        model_dir: the model's folder, as a path or already read. It says which sizes the networks take.

    Raises:
        ConfigurationError: if the configuration is missing or wrong.
    """

    def __init__(self, model_dir: str | os.PathLike[str] | ModelFolder, mode: str = 'inference', **_: Any) -> None:
        super().__init__(mode)
        folder = ModelFolder.of(model_dir, I2VGEN_XL)
        self.configuration: I2VGenXLConfiguration = folder.configuration  # type: ignore[assignment]
        with folder.error_context():
            self.image_size = clip_image_size(folder.configuration.clip)

    def __call__(
        self,
        data: Any,
        fit: str = 'crop',
        *,
        height: int | None = None,
        width: int | None = None,
        background: Any = 'white',
    ) -> dict[str, torch.Tensor]:
        """What the networks see of a picture of any kind that :func:`load_image` takes.

        Args:
            data: the picture, or ``{'image': picture}``. A text beside it is for the pipeline.
            fit: ``'crop'`` or ``'contain'``.
            height, width: size of the video in pixels. What is None follows the picture's aspect ratio.
            background: the colour behind transparent parts; None shows the colours hidden there.

        Returns:
            ``{'pixel_values': [1, 3, S, S], 'frame': [1, 3, height, width]}``, float32: normalised for CLIP, and in
            [-1, 1] for the autoencoder.

        Raises:
            InputError: if the picture cannot be read, or if its sides are too different for a video.
        """
        image = load_image(picture_of(data), background)
        height, width = self.configuration.size_for(image.width / image.height, height, width)
        if max(height, width) > MAX_SIDE:
            raise InputError(
                f'The picture is so wide or so tall ({image.width}x{image.height}) that the video would have '
                f"{max(height, width)} pixels on a side; at most {MAX_SIDE} can be written. Give 'height' and 'width'."
            )
        seen = pixel_values(image, self.image_size, fit, IMAGE_MEAN, IMAGE_STD, cropped=width)
        return {'pixel_values': seen, 'frame': frame_values(image, height, width, fit)}
