"""Files that somebody sends."""

import io

from PIL import Image


def black(width, height):
    """The bytes of a black PNG file."""
    file = io.BytesIO()
    Image.new('RGB', (width, height)).save(file, 'PNG')
    return file.getvalue()
