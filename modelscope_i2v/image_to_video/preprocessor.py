"""Stage 1's preprocessor: any kind of picture in, what CLIP and the autoencoder see of it out."""

from __future__ import annotations

import os
from typing import Any

import torch
from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import models_with_text
from modelscope_i2v.generation.modelscope_bases import Preprocessor
from modelscope_i2v.generation.picture_configuration import PictureConfiguration
from modelscope_i2v.generation.picture_input import picture_of, texts_of
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.images.conditioning import frame_values, pixel_values
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.media.limits import MAX_SIDE
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=IMAGE_TO_VIDEO.preprocessor, force=True)
class ImageToVideoPreprocessor(Preprocessor):
    """Turns pictures into the input of CLIP's image tower, and into a frame of the video.

    Args:
        model_dir: the model's folder, as a path or already read. It says which sizes the networks take.

    Raises:
        ConfigurationError: if the configuration is missing or wrong.
    """

    stage = IMAGE_TO_VIDEO
    configuration: PictureConfiguration

    def __init__(self, model_dir: str | os.PathLike[str] | ModelFolder, mode: str = 'inference', **_: Any) -> None:
        super().__init__(mode)
        folder = ModelFolder.of(model_dir, self.stage)
        self.configuration = folder.configuration  # type: ignore[assignment]
        with folder.error_context():
            self.image_size = clip_image_size(folder.configuration.clip)

    def __call__(
        self,
        data: Any,
        fit: str = 'crop',
        background: Any = 'white',
        *,
        height: int | None = None,
        width: int | None = None,
    ) -> dict[str, torch.Tensor]:
        """What the networks see of a picture of any kind that :func:`load_image` takes.

        Args:
            data: the picture, or ``{'image': picture}``.
            fit: ``'crop'``, ``'contain'`` or ``'keep'``.
            background: the colour behind transparent parts; None shows the colours hidden there.
            height, width: size of the video in pixels. The configuration decides what is None, with the picture's
                aspect ratio where the video follows it.

        Returns:
            ``{'pixel_values': [1, 3, S, S], 'frame': [1, 3, height, width]}``, float32: normalised for CLIP, and in
            [-1, 1] for the autoencoder.

        Raises:
            InputError: if the picture cannot be read, if its sides are too different for a video, or if there is a
                text and the stage takes none.
        """
        image = self.picture(data, background)
        height, width = self.configuration.size_for(image.width / image.height, height, width, fit)
        if max(height, width) > MAX_SIDE:
            raise InputError(
                f'The picture is so wide or so tall ({image.width}x{image.height}) that the video would have '
                f"{max(height, width)} pixels on a side; at most {MAX_SIDE} can be written. Give 'height' and 'width'."
            )
        seen = pixel_values(image, self.image_size, fit, IMAGE_MEAN, IMAGE_STD, cropped=self.cropped(width))
        return {'pixel_values': seen, 'frame': frame_values(image, height, width, fit)}

    def picture(self, data: Any, background: Any = 'white') -> Image.Image:
        """The picture of an input, read. Raises InputError for a text, which this stage does not take."""
        image = picture_of(data)
        for name in texts_of(data):
            raise InputError(
                f"This model takes no text, found '{name}' beside 'image'. Leave it out. {models_with_text()}"
            )
        return load_image(image, background)

    def cropped(self, width: int) -> int | None:
        """The side of the square that is cut out for CLIP, for a video of ``width``; see :func:`central_square`."""
        return None
