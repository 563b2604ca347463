"""Stage 1's preprocessor: any kind of picture in, the image tower's input out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from modelscope.preprocessors.base import Preprocessor
from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields

from modelscope_i2v.configuration_file import FILE_NAME, naming, read_configuration
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.configuration import parse_image_to_video
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, clip_image_size
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=IMAGE_TO_VIDEO.preprocessor, force=True)
class ImageToVideoPreprocessor(Preprocessor):
    """Turns pictures into the input of CLIP's image tower.

    Args:
        model_dir: the model's folder; its configuration names the CLIP architecture and so the size.

    Raises:
        ConfigurationError: if the configuration is missing or wrong.
    """

    def __init__(self, model_dir: str | os.PathLike[str], mode: str = 'inference', **_: Any) -> None:
        super().__init__(mode)
        file = Path(model_dir) / FILE_NAME
        model = read_configuration(model_dir).get('model')
        section = model.get('model_cfg') if isinstance(model, Mapping) else None
        clip = parse_image_to_video(section, file).clip
        with naming(file, 'model.model_cfg'):
            self.image_size = clip_image_size(clip)

    def __call__(self, data: Any, fit: str = 'crop') -> dict[str, torch.Tensor]:
        """``{'pixel_values': [1, 3, S, S]}`` float32 for a picture of any kind that the contract lists.

        Args:
            data: the picture, or ``{'image': picture}``.
            fit: ``'crop'`` or ``'contain'``.

        Raises:
            InputError: if the picture cannot be read.
        """
        if isinstance(data, Mapping):
            if 'image' not in data:
                raise InputError(f"A dict input needs the key 'image', found {sorted(map(str, data))}.")
            data = data['image']
        return {'pixel_values': pixel_values(load_image(data), self.image_size, fit, IMAGE_MEAN, IMAGE_STD)}
