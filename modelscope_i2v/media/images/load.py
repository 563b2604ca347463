"""Loads any image that a user may pass, as an upright RGB image."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import Background, checked_background
from modelscope_i2v.media.images.bgr_arrays import image_from_array, image_from_tensor
from modelscope_i2v.media.images.decoding import decode_image, is_image, upright_rgb
from modelscope_i2v.media.text_sources import decode_base64, decode_data_uri, exists, path_of_url, shown

_ACCEPTED = (
    'a path, an http(s) or file URL, a data URI, a base64 string, bytes, a PIL image, a uint8 or uint16 BGR '
    'array [H, W, 3], or an RGB tensor [3, H, W] of these or of floats 0..1'
)


def load_image(source: Any, background: Any = 'white') -> Image.Image:
    """Load any accepted image as a new PIL image of mode 'RGB', in sRGB. ``source`` itself is never changed.

    EXIF orientation is applied, and so are colour profiles and the colour chunks of PNG. Values of more than 8 bits are
    scaled by the rules of :mod:`modelscope_i2v.media.images.depth`. If there are several frames, the first one is used
    (or the current one, if ``source`` is an open PIL image). Pictures of more than 67 million pixels are reduced.

    Args:
        source: a path, an ``http(s)://`` or ``file://`` URL, a data URI, a bare base64 string, bytes, a PIL image, a
            uint8 or uint16 array ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` (**BGR**, as in ModelScope) or ``[H, W, 4]``
            (BGRA), or a tensor ``[C, H, W]`` or ``[1, C, H, W]`` (C = 1, 3 RGB or 4), uint8, uint16, or floating point
            with values 0..1.
        background: the colour over which transparent pixels are composited: a name or a hex value as in CSS, or three
            whole numbers 0..255. None drops alpha, as the original implementation does, so that colours hidden under
            transparent pixels appear.

    Raises:
        InputError: the source is missing, not an image, damaged, too large, or of the wrong type, shape or range, it
            takes a plug-in that is not installed, or ``background`` is no colour.
    """
    background = checked_background(background)
    if isinstance(source, str):
        return _from_text(source, background)
    if isinstance(source, os.PathLike):
        return _from_file(os.fsdecode(source), background)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), 'The image given as bytes', background)
    if isinstance(source, Image.Image):
        return upright_rgb(source, 'The PIL image', background)
    if isinstance(source, np.ndarray):
        return image_from_array(source, background)

    import torch

    if isinstance(source, torch.Tensor):
        return image_from_tensor(source, background)
    raise InputError(f'Cannot load an image from an object of type {type(source).__name__}. Give {_ACCEPTED}.')


def _from_text(text: str, background: Background) -> Image.Image:
    scheme = text[:8].lower()
    if scheme.startswith('data:'):
        return _from_bytes(decode_data_uri(text), 'The image in the data URI', background)
    if scheme.startswith(('http://', 'https://')):
        from modelscope_i2v.media.download import download

        return _from_bytes(download(text), f'The image at {shown(text)}', background)
    if scheme.startswith('file:'):
        return _from_file(path_of_url(text), background)
    if not exists(text):
        decoded = decode_base64(text)
        if decoded is not None and is_image(io.BytesIO(decoded)):
            return _from_bytes(decoded, 'The image given as base64', background)
        if '://' in text:
            raise InputError(f'The address {shown(text)} has an unknown scheme. Use http, https or file.')
    return _from_file(text, background)


def _from_file(path: str, background: Background) -> Image.Image:
    name = f'The image file {shown(path)}'
    if not path:
        raise InputError(f'The path of the image is empty. Give {_ACCEPTED}.')
    try:
        # Check before opening: opening a named pipe would block forever.
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f'{name} is a folder. Give one image file inside it.')
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f'{name} is not a regular file. Give an image file, or its bytes.')
        if status.st_size == 0:
            raise InputError(f'{name} is empty (zero bytes). Save or download it again.')
        with Path(path).open('rb') as file:
            return decode_image(file, name, background)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{name} does not exist. Check the path (looked for it in {Path.cwd()}).') from error
    except (OSError, ValueError) as error:
        # Not str(error): it repeats the whole path, however long.
        reason = getattr(error, 'strerror', None) or str(error)
        raise InputError(f'{name} cannot be opened: {reason}. Check the path and its permissions.') from error


def _from_bytes(data: bytes, name: str, background: Background) -> Image.Image:
    if not data:
        raise InputError(f'{name} is empty (zero bytes). Give the whole content of an image file.')
    return decode_image(io.BytesIO(data), name, background)
