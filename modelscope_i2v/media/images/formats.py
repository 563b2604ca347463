"""Which format a file has, by its first bytes, for those that Pillow does not read alone."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import BinaryIO

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.images.jpeg_xl import jpeg_xl_size
from modelscope_i2v.media.images.size import check_decoding, check_size
from modelscope_i2v.version import INSTALL

#: Brands of the HEIF container (ISO/IEC 23008-12), by what its pictures are coded with.
_HEIC_BRANDS = frozenset((b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'hevm', b'hevs'))
_AVIF_BRANDS = frozenset((b'avif', b'avis'))
_HEAD_BYTES = 256


@dataclass(frozen=True)
class Format:
    """A format that takes a plug-in.

    Attributes:
        name: what people call it.
        package: the package to install.
        module: what is imported to read it.
    """

    name: str
    package: str
    module: str


HEIC = Format('HEIC', 'pillow-heif', 'pillow_heif')
AVIF = Format('AVIF', 'pillow>=11.3', 'PIL._avif')
JPEG_XL = Format('JPEG XL', 'pillow-jxl-plugin', 'pillow_jxl')


def optional_format(file: BinaryIO) -> Format | None:
    """The format of ``file`` if Pillow needs a plug-in to read it. The position is reset to the start."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head[4:8] == b'ftyp':
        length = min(int.from_bytes(head[:4], 'big'), len(head))
        brands = {head[8:12], *(head[start : start + 4] for start in range(16, length - 3, 4))}
        if brands & _AVIF_BRANDS:
            return AVIF
        return HEIC if brands & _HEIC_BRANDS else None
    if head[:2] == b'\xff\x0a' or head[:12] == b'\0\0\0\x0cJXL \r\n\x87\n':
        return JPEG_XL
    return None


def prepare_opening(file: BinaryIO, name: str) -> None:
    """Make Pillow able to open ``file``. The position is reset to the start.

    Raises:
        InputError: it takes a plug-in that is not installed, or is too large for one that decodes on opening.
    """
    found = optional_format(file)
    if found is None:
        return
    try:
        module = importlib.import_module(found.module)  # pillow_jxl registers itself
    except ImportError as error:
        raise InputError(
            f"{name} is {found.name}, which takes the package '{found.package}'. Install it with the extra 'formats' "
            f'({INSTALL.format(extra="formats")}), or save the picture as PNG or JPEG.'
        ) from error
    if found is HEIC:
        module.register_heif_opener()
    elif found is JPEG_XL:
        size = jpeg_xl_size(file)
        if size is not None:  # otherwise the plug-in says what is wrong
            check_size(size, name)
            check_decoding(size, 'JXL', name)
