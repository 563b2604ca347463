"""How large a picture may be: what its decoder takes, when it is reduced, and when it is refused.

Memory grows by at most 1 GB, whatever the file. Decoders differ widely in what they take for a pixel, so each format
has its own limit. The numbers are measured peaks of Pillow's plug-ins, from opening to the decoded picture.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

from PIL import Image

from modelscope_i2v.errors import InputError

# The size at which Pillow raises by default, twice the size at which it warns. It is a fixed number here, so that a
# program that changes Pillow's global limit does not change what we accept.
MAX_PIXELS = 178_956_970
#: Pictures with more pixels than this are reduced by a whole factor.
LARGE = 2**26
#: What decoding may take, in bytes. The rest of the gigabyte is for what follows.
DECODING_BYTES = 920_000_000
#: Bytes that a decoder takes for each pixel, at most. JPEG, TIFF, PPM and HEIF depend on the file: see
#: ``_decoding_bytes``.
BYTES_PER_PIXEL: Mapping[str, float] = MappingProxyType(
    {
        'PNG': 4.1,
        'GIF': 4.1,
        'BMP': 4.1,
        'TGA': 4.1,
        'PCX': 4.1,
        'SGI': 6.2,
        'DDS': 8.2,
        'QOI': 8.2,
        'JXL': 16,  # also a copy of the file, and floating point buffers
        'AVIF': 18,  # of 10 or 12 bits
        'HEIF': 11,
        'WEBP': 20,  # two canvases, the frame, and a copy of it
        'JPEG2000': 25,  # 32 bits for each value, twice
    }
)
_OTHER = 12.0
_DEEP_HEIF = 22.0  # more than 8 bits a value
#: Pillow's mode has at most four bytes a pixel.
_DECODED = 4.2


def check_size(size: tuple[int, int], name: str) -> None:
    """Raise InputError for a picture without pixels, or with more than ``MAX_PIXELS``."""
    width, height = size
    if width * height == 0:
        raise InputError(f'{name} is empty: its size is {width} x {height}. Give an image with at least one pixel.')
    if width * height > MAX_PIXELS:
        raise InputError(
            f'{name} has {width * height:,} pixels ({width} x {height}); at most {MAX_PIXELS:,} are accepted. '
            f'Scale it down first.'
        )


def check_decoding(size: tuple[int, int], kind: str, name: str, needed: float | None = None) -> None:
    """Raise InputError for a picture whose decoder would take more than ``DECODING_BYTES``.

    Args:
        kind: Pillow's name of the format.
        needed: the bytes that the decoder takes; None estimates them from ``BYTES_PER_PIXEL``.
    """
    width, height = size
    pixels = width * height
    if needed is None:
        needed = BYTES_PER_PIXEL.get(kind, _OTHER) * pixels
    if needed > DECODING_BYTES:
        most = int(pixels * DECODING_BYTES / needed)
        raise InputError(
            f'{name} has {pixels:,} pixels ({width} x {height}). Reading a {kind} file like it takes about '
            f'{needed / 1e9:.1f} GB; at most {most:,} pixels fit into the limit of 1 GB. Scale it down first, or save '
            f'it as PNG or JPEG.'
        )


def prepare_decoding(image: Image.Image, name: str) -> None:
    """Make an opened but undecoded file decode within the limit: large JPEGs are reduced while they are decoded.

    Raises:
        InputError: it would take more than ``DECODING_BYTES`` all the same.
    """
    width, height = image.size
    kind = image.format or ''
    if not _is_undecoded(image):
        return
    factor = reduction(width, height)
    if kind in ('JPEG', 'MPO'):
        # Both keep the coefficients of the whole picture, unless they come in a single scan.
        coefficients = _coefficient_bytes(image)
        if factor > 1:
            image.draft(None, (width // factor, height // factor))
        needed = coefficients + _DECODED * image.width * image.height
    elif kind == 'JPEG2000':
        needed = BYTES_PER_PIXEL[kind] * width * height
        if needed > DECODING_BYTES:
            levels = math.ceil(math.log2(needed / DECODING_BYTES) / 2)
            image.reduce = levels  # type: ignore[method-assign, assignment]
            needed /= 4**levels
    else:
        needed = _decoding_bytes(image)
    check_decoding((width, height), kind, name, needed)


def reduction(width: int, height: int) -> int:
    """The whole factor by which a picture of this size is reduced; 1 leaves it as it is."""
    return max(1, math.ceil(math.sqrt(width * height / LARGE)))


def _is_undecoded(image: Image.Image) -> bool:
    if getattr(image, 'tile', None):
        return True
    # These plug-ins have no tiles.
    return image.format in ('WEBP', 'AVIF', 'HEIF') and getattr(image, '_im', None) is None


def _decoding_bytes(image: Image.Image) -> float:
    pixels = image.width * image.height
    tile: Any = (getattr(image, 'tile', None) or [None])[0]
    decoder = tile[0] if tile else ''
    if image.format == 'TIFF':
        return _tiff_bytes(image)
    if image.format == 'PPM' and decoder == 'raw':
        return _DECODED * pixels
    if image.format == 'HEIF' and image.info.get('bit_depth') != 8:
        return _DEEP_HEIF * pixels
    return BYTES_PER_PIXEL.get(image.format or '', _OTHER) * pixels


def _tiff_bytes(image: Any) -> float:
    """The picture, its turned copy if it is not upright, and one strip or tile, compressed and not."""
    pixels = image.width * image.height
    tags = image.tag_v2
    rows = tags.get(278) or image.height  # RowsPerStrip
    block = (tags.get(322) or image.width) * (tags.get(323) or min(rows, image.height))  # TileWidth, TileLength
    bits = sum(tags.get(258, (1,)))  # BitsPerSample
    copies = 1 if tags.get(274, 1) == 1 else 2  # Orientation
    return float(_DECODED * copies * pixels + 2 * block * max(bits, 8) / 8)


def _coefficient_bytes(image: Any) -> float:
    """What a JPEG decoder keeps of the whole picture: two bytes a coefficient, if there are several scans."""
    layers = getattr(image, 'layer', ())
    one_scan = _components_of_first_scan(image.fp) == len(layers) and not image.info.get('progressive')
    if one_scan or not layers:
        return 0.0
    widest = max(across for _, across, _, _ in layers)
    tallest = max(down for _, _, down, _ in layers)
    share = sum(across * down for _, across, down, _ in layers) / (widest * tallest)
    return float(2 * share * image.width * image.height)


def _components_of_first_scan(file: BinaryIO) -> int | None:
    """How many components the first scan of a JPEG has (ISO/IEC 10918-1, B.2.3). The position of ``file`` is kept."""
    position = file.tell()
    try:
        file.seek(2)
        while len(head := file.read(4)) == 4 and head[0] == 0xFF:
            length = int(struct.unpack('>H', head[2:])[0])
            if head[1] == 0xFF:  # a byte that fills
                file.seek(-3, 1)
            elif head[1] == 0xDA:
                return file.read(1)[0]
            else:
                file.seek(length - 2, 1)
        return None
    finally:
        file.seek(position)
