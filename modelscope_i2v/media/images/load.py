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
from modelscope_i2v.media.images.bgr_arrays import image_from_array, image_from_tensor
from modelscope_i2v.media.images.decoding import decode_image, is_image, upright_rgb
from modelscope_i2v.media.text_sources import decode_base64, decode_data_uri, exists, path_of_url, shown

_ACCEPTED = (
    'a path, an http(s) or file URL, a data URI, a base64 string, bytes, a PIL image, a uint8 BGR array [H, W, 3] or '
    'a float RGB tensor [3, H, W] with values 0..1'
)


def load_image(source: Any) -> Image.Image:
    """Load any accepted image as a new PIL image of mode 'RGB'. ``source`` itself is never changed.

    EXIF orientation is applied. Alpha is dropped, not composited. If there are several frames, the first one is used
    (or the current one, if ``source`` is an open PIL image).

    Args:
        source: a path, an ``http(s)://`` or ``file://`` URL, a data URI, a bare base64 string, bytes, a PIL image, a
            uint8 array ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` (**BGR**, as in ModelScope) or ``[H, W, 4]``
            (BGRA), or a floating point tensor ``[C, H, W]`` or ``[1, C, H, W]`` with values 0..1 (C = 1, 3 RGB or 4).

    Raises:
        InputError: the source is missing, not an image, damaged, too large, or of the wrong type, shape or range.
    """
    if isinstance(source, str):
        return _from_text(source)
    if isinstance(source, os.PathLike):
        return _from_file(os.fsdecode(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), 'The image given as bytes')
    if isinstance(source, Image.Image):
        return upright_rgb(source, 'The PIL image')
    if isinstance(source, np.ndarray):
        return image_from_array(source)

    import torch

    if isinstance(source, torch.Tensor):
        return image_from_tensor(source)
    raise InputError(f'Cannot load an image from an object of type {type(source).__name__}. Give {_ACCEPTED}.')


def _from_text(text: str) -> Image.Image:
    scheme = text[:8].lower()
    if scheme.startswith('data:'):
        return _from_bytes(decode_data_uri(text), 'The image in the data URI')
    if scheme.startswith(('http://', 'https://')):
        from modelscope_i2v.media.download import download

        return _from_bytes(download(text), f'The image at {shown(text)}')
    if scheme.startswith('file:'):
        return _from_file(path_of_url(text))
    if not exists(text):
        decoded = decode_base64(text)
        if decoded is not None and is_image(io.BytesIO(decoded)):
            return _from_bytes(decoded, 'The image given as base64')
        if '://' in text:
            raise InputError(f'The address {shown(text)} has an unknown scheme. Use http, https or file.')
    return _from_file(text)


def _from_file(path: str) -> Image.Image:
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
            return decode_image(file, name)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{name} does not exist. Check the path (looked for it in {Path.cwd()}).') from error
    except (OSError, ValueError) as error:
        # Not str(error): it repeats the whole path, however long.
        reason = getattr(error, 'strerror', None) or str(error)
        raise InputError(f'{name} cannot be opened: {reason}. Check the path and its permissions.') from error


def _from_bytes(data: bytes, name: str) -> Image.Image:
    if not data:
        raise InputError(f'{name} is empty (zero bytes). Give the whole content of an image file.')
    return decode_image(io.BytesIO(data), name)
