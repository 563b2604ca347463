"""Decodes an image to upright RGB, with a clear message for every way in which Pillow can fail."""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.background import checked_background
from modelscope_i2v.media.images.formats import optional_format, prepare_opening
from modelscope_i2v.media.images.png_colour import read_cicp
from modelscope_i2v.media.images.rgb import orientation_of, to_upright_rgb
from modelscope_i2v.media.images.size import check_size, prepare_decoding, reduction
from modelscope_i2v.media.images.transparency import colour_key

# Exceptions that Pillow's plugins raise on damaged files. We found them by corrupting files of every common format.
BROKEN = (
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
    """Whether ``file`` begins as an image does, even one that takes a plug-in. The position is reset to the start."""
    if optional_format(file) is not None:
        return True
    try:
        with Image.open(file):
            recognised = True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        recognised = True
    except BROKEN:
        recognised = False
    file.seek(0)
    return recognised


def decode_image(file: BinaryIO, name: str, background: Any = 'white') -> Image.Image:
    """The first frame of an encoded image: mode 'RGB', turned upright according to its EXIF data.

    Args:
        file: a readable, seekable binary file at its start.
        name: the name that messages use for it.
        background: see :func:`~modelscope_i2v.media.background.checked_background`.

    Raises:
        InputError: the file is not an image, is damaged, cut off or empty, takes a plug-in that is not installed, or is
            too large to be decoded.
    """
    try:
        prepare_opening(file, name)
        codes = read_cicp(file)
        with Image.open(file) as image:
            check_size(image.size, name)
            if image.format == 'EPS':
                # Pillow would run Ghostscript, a program interpreter, on the file.
                raise InputError(f'{name} is PostScript, which is not supported. Convert it to PNG or JPEG.')
            return upright_rgb(image, name, background, codes=codes)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'{name} has too many pixels: {error} Scale it down first.') from error
    except UnidentifiedImageError as error:
        raise InputError(f'{name} is not an image that Pillow can read. Give a PNG, JPEG, WebP, BMP or GIF.') from error
    except BROKEN as error:
        raise InputError(f'{name} is damaged or cut off ({error}). Save or download it again.') from error


def upright_rgb(
    image: Image.Image, name: str, background: Any = 'white', *, codes: tuple[int, int] | None = None
) -> Image.Image:
    """A new image: ``image`` turned upright by its EXIF orientation and converted to sRGB, mode 'RGB'.

    Args:
        background: what shows through where the image is transparent; None drops alpha.
        codes: colour primaries and transfer characteristics (ITU-T H.273), if the file says them in a PNG's chunk cICP.

    Raises:
        InputError: the image has no pixels or too many, or it cannot be decoded or converted.
    """
    behind = checked_background(background)
    check_size(image.size, name)
    try:
        key = colour_key(image)
        prepare_decoding(image, name)
        image.load()
        return to_upright_rgb(image, name, orientation=orientation(image), background=behind, key=key, codes=codes)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(
            f'{name} (mode {image.mode}) cannot be decoded or converted to RGB: {error}. It may be damaged or cut '
            f'off: save or download it again as an RGB PNG or JPEG.'
        ) from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) .. 8; 1 if the EXIF data are damaged, which alone does not spoil a picture."""
    try:
        return orientation_of(image)
    except BROKEN:
        return 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after :func:`upright_rgb`, without decoding the image."""
    factor = reduction(*image.size)
    width, height = (-(-side // factor) for side in image.size)
    return (height, width) if orientation(image) >= 5 else (width, height)
