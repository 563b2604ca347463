"""Stage 1's preprocessor: any kind of picture in, the image tower's input out."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import torch
from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields

from modelscope_i2v.errors import InputError, nearest, shown
from modelscope_i2v.generation.modelscope_bases import Preprocessor
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size

logger = logging.getLogger(__name__)

#: Keys of an input that hold a text.
TEXTS = ('text', 'caption', 'prompt')


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
        if isinstance(data, Mapping):
            if 'image' not in data:
                found = ', '.join(sorted(map(shown, data)))
                raise InputError(f"A dict input needs the key 'image', found [{found[:200]}].")
            for name in set(data) - {'image'}:
                if name in TEXTS and data[name] is not None and not (isinstance(data[name], str) and data[name] == ''):
                    raise InputError(f"This model takes no text, found '{name}' beside 'image'. Leave it out.")
                if name not in TEXTS:
                    logger.warning('Ignoring %s of the input.%s', shown(name), nearest(shown(name), ('image',)))
            data = data['image']
        image = load_image(data, background)
        return {'pixel_values': pixel_values(image, self.image_size, fit, IMAGE_MEAN, IMAGE_STD)}
