"""An input that is a picture, alone or in a dict with a text."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from modelscope_i2v.errors import InputError, nearest, shown

logger = logging.getLogger(__name__)

#: Keys of an input that hold a text, never the name of a file.
TEXTS = ('text', 'caption', 'prompt')


def picture_of(data: Any) -> Any:
    """The picture of an input: ``data`` itself, or what a dict has under ``'image'``.

    Unknown keys beside it only cause a warning.

    Raises:
        InputError: for a dict without the key ``'image'``.
    """
    if not isinstance(data, Mapping):
        return data
    if 'image' not in data:
        found = ', '.join(sorted(map(shown, data)))
        raise InputError(f"A dict input needs the key 'image', found [{found[:200]}].")
    for name in set(data) - {'image', *TEXTS}:
        logger.warning('Ignoring %s of the input.%s', shown(name), nearest(shown(name), ('image',)))
    return data['image']


def text_of(data: Any) -> dict[str, Any]:
    """The text of an input as an argument of a call, ``{'text': ...}``; empty if there is none.

    Raises:
        InputError: if there are several.
    """
    texts = texts_of(data)
    if len(texts) > 1:
        raise InputError(f'The input has a text under {" and ".join(map(repr, texts))}. Give one.')
    return {'text': next(iter(texts.values()))} if texts else {}


def texts_of(data: Any) -> dict[str, Any]:
    """What an input has under the keys of texts, without None and empty strings."""
    if not isinstance(data, Mapping):
        return {}
    found = {name: data[name] for name in TEXTS if data.get(name) is not None}
    return {name: value for name, value in found.items() if not (isinstance(value, str) and value == '')}
