"""Pictures to start with, for those who have none at hand."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from html import escape
from pathlib import Path

from PIL import Image

from modelscope_i2v.serving.page.texts import say

FOLDER = Path(__file__).parent / 'examples'
NAMES = ('cat', 'face', 'coffee', 'rocket')
#: Side of a small picture, in pixels.
_SIDE = 96


def example(name: str) -> Path:
    """The file of an example; raises KeyError if there is none of that name."""
    if name not in NAMES:
        raise KeyError(name)
    return FOLDER / f'{name}.jpg'


def examples(language: str) -> str:
    """All of them, as HTML."""
    items = ''.join(
        f'<button type="button" data-action="example" data-value="{name}" '
        f'aria-label="{escape(say(language, "example", name=say(language, f"example_{name}")))}">'
        f'<img alt="" src="{_small(name)}"></button>'
        for name in NAMES
    )
    return f'<div class="examples"><span>{escape(say(language, "examples"))}</span>{items}</div>'


@lru_cache
def _small(name: str) -> str:
    with Image.open(example(name)) as picture:
        picture.thumbnail((_SIDE, _SIDE))
        file = io.BytesIO()
        picture.save(file, 'WEBP', quality=80)
    return f'data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}'
