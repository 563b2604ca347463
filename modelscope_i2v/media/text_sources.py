"""Strings that stand for a file: paths, file URLs, data URIs and base64."""

from __future__ import annotations

import base64
import binascii
import urllib.parse
from pathlib import Path

from modelscope_i2v.errors import InputError


def decode_data_uri(uri: str) -> bytes:
    """The content of a ``data:`` URI, base64 or percent-encoded.

    Raises:
        InputError: the URI has no comma, or its base64 is invalid.
    """
    header, comma, body = uri.partition(',')
    if not comma:
        raise InputError(f'The data URI {shown(uri)} has no comma. Write `data:image/png;base64,...`.')
    if not header.lower().endswith(';base64'):
        return urllib.parse.unquote_to_bytes(body)
    decoded = decode_base64(urllib.parse.unquote(body))
    if decoded is None:
        raise InputError(f'The data URI {shown(uri)} does not hold valid base64. Check that it is complete.')
    return decoded


def decode_base64(text: str) -> bytes | None:
    """Decode base64, ignoring white space. Returns None if ``text`` is not base64."""
    try:
        return base64.b64decode(''.join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def path_of_url(url: str) -> str:
    """The path that a ``file:`` URL names.

    Raises:
        InputError: the URL is malformed, or names a file on another host.
    """
    from urllib.request import url2pathname

    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise InputError(f'The file URL {shown(url)} is malformed: {error}. Write `file:///path/to/file`.') from error
    if parts.netloc not in ('', 'localhost'):
        raise InputError(
            f'The file URL {shown(url)} names the host {parts.netloc!r}. Write `file:///path/to/file`, with three '
            f'slashes.'
        )
    return url2pathname(parts.path)


def exists(path: str) -> bool:
    """Whether ``path`` exists, even if only as a broken link. Returns False for invalid names."""
    try:
        Path(path).lstat()
    except (OSError, ValueError):
        return False
    return True


def shown(text: str, limit: int = 120) -> str:
    """``text``, quoted and shortened, because a base64 string may hold megabytes."""
    return repr(text if len(text) <= limit else f'{text[:limit]}... ({len(text):,} characters)')
