"""Small files of many kinds, written from the standards, so that no library decides on both sides."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image, kind='PNG', **options):
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(pixels, bits, colour, *chunks):
    """A PNG of ``pixels`` [H, W, channels] with ``bits`` bits and a colour type, and ``(kind, data)`` before IDAT."""
    height, width, channels = pixels.shape
    if bits == 16:
        rows = pixels.astype('>u2').tobytes()
        stride = 2 * width * channels
    elif bits == 8:
        rows, stride = pixels.astype(np.uint8).tobytes(), width * channels
    else:
        shifts = np.arange(bits)[::-1]
        rows = np.packbits((pixels.reshape(height, width, 1) >> shifts & 1).reshape(height, -1), axis=1).tobytes()
        stride = -(-width * bits // 8)
    filtered = b''.join(b'\0' + rows[start : start + stride] for start in range(0, height * stride, stride))
    header = struct.pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0)
    body = [(b'IHDR', header), *chunks, (b'IDAT', zlib.compress(filtered)), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(png_chunk(kind, data) for kind, data in body)


def gama(gamma):
    return b'gAMA', struct.pack('>I', round(gamma * 100000))


def chrm(*points):
    """White, red, green, blue, as eight numbers."""
    return b'cHRM', struct.pack('>8I', *(round(value * 100000) for value in points))


def cicp(primaries, transfer):
    return b'cICP', bytes((primaries, transfer, 0, 1))


def iccp(profile):
    return b'iCCP', b'profile\0\0' + zlib.compress(profile)


def tiff(data, width, height, bits, *, sample_format=1, photometric=1):
    """A TIFF of one strip and one channel."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
        (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, sample_format),
    ]  # fmt: skip
    padded = data + b'\0' * (len(data) % 2)
    entries = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in tags)
    header = b'II*\0' + struct.pack('<I', 8 + len(padded))
    return header + padded + struct.pack('<H', len(tags)) + entries + b'\0' * 4


def _fixed(*values):
    return struct.pack(f'>{len(values)}i', *(round(value * 65536) for value in values))


def _text(words):
    data = words.encode('utf-16-be')
    return b'mluc\0\0\0\0' + struct.pack('>II', 1, 12) + b'enUS' + struct.pack('>II', len(data), 28) + data


def _xyz(values):
    return b'XYZ \0\0\0\0' + _fixed(*values)


def power_curve(gamma):
    """Light = level ** gamma."""
    return b'para\0\0\0\0' + struct.pack('>HH', 0, 0) + _fixed(gamma)


SRGB_CURVE = b'para\0\0\0\0' + struct.pack('>HH', 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D50 = (0.9642, 1.0, 0.8249)


def _profile(space, connection, tags, kind=b'mntr'):
    """An ICC profile of version 4 (ICC.1:2022, 7)."""
    tags = {b'desc': _text('test'), b'cprt': _text('none'), b'wtpt': _xyz(_D50), **tags}
    place, table, data = 128 + 4 + 12 * len(tags), b'', b''
    for name, content in tags.items():
        table += name + struct.pack('>II', place + len(data), len(content))
        data += content + b'\0' * (-len(content) % 4)
    head = struct.pack('>I4sI4s4s4s', place + len(data), b'test', 0x04300000, kind, space, connection)
    head += b'\0' * 12 + b'acsp' + b'\0' * 28 + _fixed(*_D50) + b'\0' * 48
    return head + struct.pack('>I', len(tags)) + table + data


def matrix_profile(red, green, blue, curve=SRGB_CURVE):
    """Of a display: the XYZ of its primaries, adapted to D50, and one curve."""
    colorants = {b'rXYZ': _xyz(red), b'gXYZ': _xyz(green), b'bXYZ': _xyz(blue)}
    return _profile(b'RGB ', b'XYZ ', {**colorants, **dict.fromkeys((b'rTRC', b'gTRC', b'bTRC'), curve)})


def grey_profile(curve):
    return _profile(b'GRAY', b'XYZ ', {b'kTRC': curve})


def cmyk_profile():
    """Of a printer whose inks are a little dirty: a table of its 16 corners in CIE Lab."""
    corners = []
    for inks in np.ndindex(2, 2, 2, 2):
        cyan, magenta, yellow, black = inks
        light = max(8, 95 - 35 * cyan - 45 * magenta - 8 * yellow - 85 * black)
        fade = 0.1 if black else 1
        corners.append((light, fade * (-35 * cyan + 70 * magenta - 5 * yellow), fade * (-45 * cyan + 85 * yellow)))
    lab = np.array(corners) * [255 / 100, 1, 1] + [0, 128, 128]
    straight = bytes(range(256))
    table = b'mft1\0\0\0\0' + bytes((4, 3, 2, 0)) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += straight * 4 + lab.round().clip(0, 255).astype(np.uint8).tobytes() + straight * 3
    return _profile(b'CMYK', b'Lab ', {b'A2B0': table}, kind=b'prtr')


DISPLAY_P3 = matrix_profile((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
BT_2020 = matrix_profile((0.67342, 0.27904, -0.00193), (0.16564, 0.67534, 0.02998), (0.12509, 0.04562, 0.79686))
SRGB = matrix_profile((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
ADOBE_RGB = matrix_profile(
    (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), power_curve(2.19921875)
)
LINEAR_RGB = matrix_profile(
    (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141), power_curve(1)
)


def photo():
    """Smooth colours, RGB [48, 64, 3]."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - x * 2 - y], axis=-1).astype(np.uint8)


def image():
    return Image.fromarray(photo())
