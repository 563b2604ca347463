"""Damaged bytes and odd values."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

#: Numbers at which sizes, signs and types change, as they stand in files.
_WORDS = [
    value.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for value in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    for order in ('little', 'big')
]
#: Values that JSON can hold.
_ODD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    7,
    64,
    1000,
    10**5,
    2**31,
    2**63,
    10**18,
    10**400,
    -(10**400),
    0.5,
    -0.5,
    1e-300,
    1e300,
    float('nan'),
    float('inf'),
    '',
    ' ',
    'a',
    '0',
    '64',
    'x' * 300,
    'x' * 5000,
    '\0',
    '\ud800',
    '\x1b[31m',
    '../..',
    '/dev/zero',
    '/dev/stdin',
    '.',
    'hf-hub:a/b',
    'http://127.0.0.1:9/',
    [],
    {},
    [[]],
    [0],
    [1, 1, 1, 1],
    [10**5] * 4,
    [None],
    ['a'],
    {'a': 1},
    [1] * 1000,
)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """``content`` with one to eight damages."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        # Sizes stand at the beginning of most files.
        place = draw.randrange(min(len(data), 64) + 1) if draw.random() < 0.4 else draw.randrange(len(data) + 1)
        length = draw.choice((1, 2, 4, 16, 256, 4096))
        match draw.randrange(7):
            case 0:
                data[place : place + 1] = bytes([draw.randrange(256)])
            case 1:
                word = draw.choice(_WORDS)
                data[place : place + len(word)] = word
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = draw.randbytes(length)
            case 4:
                data[place:place] = data[place : place + length]
            case 5:
                other = draw.randrange(len(data) + 1)
                data[place : place + length] = data[other : other + length]
            case 6 if draw.random() < 0.3:
                del data[place:]
    return bytes(data)


def odd_value(draw: random.Random) -> Any:
    """A value that JSON can hold and that is rarely right."""
    return copy.deepcopy(draw.choice(_ODD))


def odd_json(content: Any, draw: random.Random) -> bytes:
    """A JSON text like that of ``content``, with odd values, missing and unknown keys, or damaged."""
    changed = copy.deepcopy(content)
    for _ in range(draw.choice((1, 1, 2, 3))):
        changed = _changed(changed, draw)
    text = json.dumps(changed)
    if draw.random() < 0.1:
        text = text.replace('1', '9' * draw.choice((20, 400, 5000)), 1)
    if draw.random() < 0.05:
        text = text.replace('{', '{"a":' + '[' * 50_000, 1)
    data = text.encode()
    return damaged(data, draw) if draw.random() < 0.2 else data


def _changed(content: Any, draw: random.Random) -> Any:
    """``content`` with a change at one place, deep inside or at the top."""
    if not isinstance(content, (dict, list)) or not content or draw.random() < 0.03:
        return odd_value(draw)
    items: list[Any] = list(content.items() if isinstance(content, dict) else enumerate(content))
    key, value = draw.choice(items)
    if isinstance(value, (dict, list)) and draw.random() < 0.85:
        content[key] = _changed(value, draw)
    elif draw.random() < 0.1:
        del content[key]
    elif draw.random() < 0.1 and isinstance(content, dict):
        content[draw.choice(('a', '', 'seed', 'x' * 300, '\x1b', 'model'))] = odd_value(draw)
    else:
        content[key] = odd_value(draw)
    return content
