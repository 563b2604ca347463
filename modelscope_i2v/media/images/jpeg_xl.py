"""The size of a JPEG XL picture, read before its plug-in opens it, which decodes it whole."""

from __future__ import annotations

from typing import BinaryIO

#: Width : height for each ratio that the header can name (ISO/IEC 18181-1, table of SizeHeader).
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_HEADER_BYTES = 16


def jpeg_xl_size(file: BinaryIO) -> tuple[int, int] | None:
    """``(width, height)`` as the SizeHeader of ISO/IEC 18181-1 says, or None if there is none.

    The position is reset to the start.
    """
    try:
        codestream = _codestream(file)
    finally:
        file.seek(0)
    if len(codestream) < 3 or codestream[:2] != b'\xff\x0a':
        return None
    bits = _Bits(codestream[2:])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


class _Bits:
    """Bits of a header, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, 'little')

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken


def _side(bits: _Bits, small: int) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def _codestream(file: BinaryIO) -> bytes:
    """The first bytes of the codestream: the file itself, or the first box that holds a part of it."""
    head = file.read(_HEADER_BYTES)
    if head[:2] == b'\xff\x0a':
        return head
    file.seek(0)
    while len(box := file.read(8)) == 8:
        length, kind = int.from_bytes(box[:4], 'big'), box[4:]
        header = 8
        if length == 1:
            length, header = int.from_bytes(file.read(8), 'big'), 16
        if kind in (b'jxlc', b'jxlp'):
            return file.read(_HEADER_BYTES + 4)[4 if kind == b'jxlp' else 0 :]
        if length < header:
            break
        file.seek(length - header, 1)
    return b''
