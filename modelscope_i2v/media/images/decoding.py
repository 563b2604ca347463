"""Decodes an image to upright RGB, with a clear message for every way in which Pillow can fail."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from modelscope_i2v.errors import InputError

# The size at which Pillow raises by default, twice the size at which it warns. It is a fixed number here, so that a
# program that changes Pillow's global limit does not change what we accept.
MAX_PIXELS = 178_956_970
# Exceptions that Pillow's plugins raise on damaged files. We found them by corrupting files of every common format.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)


def is_image(file: BinaryIO) -> bool:
    """Whether Pillow recognises the beginning of ``file``. The position is reset to the start."""
    try:
        with Image.open(file):
            recognised = True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        recognised = True
    except _BROKEN:
        recognised = False
    file.seek(0)
    return recognised


def decode_image(file: BinaryIO, name: str) -> Image.Image:
    """The first frame of an encoded image: mode 'RGB', turned upright according to its EXIF data.

    Args:
        file: a readable, seekable binary file at its start.
        name: the name that messages use for it.

    Raises:
        InputError: the file is not an image, is damaged, cut off or empty, or has more than ``MAX_PIXELS`` pixels.
    """
    try:
        with Image.open(file) as image:
            _check_size(image, name)
            if image.format == 'EPS':
                # Pillow would run Ghostscript, a program interpreter, on the file.
                raise InputError(f'{name} is PostScript, which is not supported. Convert it to PNG or JPEG.')
            return upright_rgb(image, name)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'{name} has too many pixels: {error} Scale it down first.') from error
    except UnidentifiedImageError as error:
        raise InputError(f'{name} is not an image that Pillow can read. Give a PNG, JPEG, WebP, BMP or GIF.') from error
    except _BROKEN as error:
        raise InputError(f'{name} is damaged or cut off ({error}). Save or download it again.') from error


def upright_rgb(image: Image.Image, name: str) -> Image.Image:
    """A new image: ``image`` turned upright by its EXIF orientation and converted to 'RGB' (alpha is dropped).

    Raises:
        InputError: the image has no pixels or more than ``MAX_PIXELS``, or it cannot be decoded or converted.
    """
    _check_size(image, name)
    try:
        image.load()
        return _upright(image).convert('RGB')
    except _BROKEN as error:
        raise InputError(
            f'{name} (mode {image.mode}) cannot be decoded or converted to RGB: {error}. It may be damaged or cut '
            f'off: save or download it again as an RGB PNG or JPEG.'
        ) from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) .. 8. From 5 on, width and height are swapped."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _BROKEN:
        return 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        # The pixels are already decoded: a damaged EXIF block alone is no reason to refuse a good image.
        return image


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height == 0:
        raise InputError(f'{name} is empty: its size is {width} x {height}. Give an image with at least one pixel.')
    if width * height > MAX_PIXELS:
        raise InputError(
            f'{name} has {width * height:,} pixels ({width} x {height}); at most {MAX_PIXELS:,} are accepted. '
            f'Scale it down first.'
        )
