"""Every way in which Pillow says that a pixel is transparent, as one alpha channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

_WITH_ALPHA = ('RGBA', 'LA', 'PA', 'La', 'RGBa')


def colour_key(image: Image.Image) -> Any:
    """What Pillow says is transparent, at the levels that decoding will give; call it before decoding.

    PNG writes a colour at the depth of the file. Pillow scales pixels of 2 and 4 bits up to 8, and keeps the upper half
    of 16 bits, but leaves that colour as it is.
    """
    key: Any = image.info.get('transparency')
    tile: Any = (getattr(image, 'tile', None) or [(None, None, None, '')])[0]
    rawmode = str(tile[3][0] if isinstance(tile[3], tuple) else tile[3])
    if image.format == 'PNG' and image.mode == 'L' and isinstance(key, int):
        return key * {'L;2': 85, 'L;4': 17}.get(rawmode, 1)
    if image.mode == 'RGB' and isinstance(key, tuple) and (rawmode.endswith(';16B') or max(key) > 255):
        return tuple(value >> 8 for value in key)
    return key


def alpha_of(image: Image.Image, key: Any) -> np.ndarray | None:
    """Uint8 ``[H, W]``, 255 for opaque, or None if nothing can be transparent.

    Args:
        key: the :func:`colour_key` of the picture.
    """
    if image.mode in _WITH_ALPHA:
        return np.asarray(image.getchannel(len(image.getbands()) - 1))
    if image.mode == 'P':
        if key is None and getattr(image.palette, 'mode', '') != 'RGBA':
            return None
        return np.asarray(image.convert('RGBA').getchannel('A'))
    if key is None or isinstance(key, bytes):
        return None
    pixels = np.asarray(image)
    same = pixels == np.array(bool(key) if image.mode == '1' else key)
    return np.where(same.all(axis=2) if same.ndim == 3 else same, 0, 255).astype(np.uint8)


def without_alpha(image: Image.Image) -> Image.Image:
    """The colours of ``image`` in a mode without alpha, as Pillow converts them: hidden ones included."""
    if image.mode in ('La', 'RGBa'):  # colours times alpha
        image = image.convert('LA' if image.mode == 'La' else 'RGBA')
    image.info.pop('transparency', None)  # Pillow would warn, or convert the key, too
    if image.mode == 'LA':
        return image.convert('L')
    return image.convert('RGB') if image.mode in ('RGBA', 'PA', 'P', 'RGBX') else image
