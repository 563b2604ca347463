"""Callers that nobody knows: they may send pictures and videos, but name no files and no addresses.

``modelscope server`` passes what it receives to a pipeline as it is. A path would be read, an address would be fetched,
and ``output_video`` would be written, all with the rights of the server.

The mode is a context variable, off by default. ``modelscope server`` calls pipelines in the event loop of its main
thread; each of its requests is a task, and a task copies the context in which the server was started. Functions that
FastAPI runs in worker threads get a copy, too. A plain thread does not, so a pipeline also remembers the mode that it
was built in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from PIL import Image

from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.generation.picture_input import TEXTS
from modelscope_i2v.media.text_sources import decode_base64, decode_data_uri

_UNTRUSTED: ContextVar[bool] = ContextVar('modelscope_i2v_untrusted', default=False)


def callers_are_untrusted() -> bool:
    """Whether the mode is on."""
    return _UNTRUSTED.get()


@contextmanager
def untrusted_callers() -> Iterator[None]:
    """Turn the mode on inside the ``with`` block, for calls there and for pipelines that are built there."""
    token = _UNTRUSTED.set(True)
    try:
        yield
    finally:
        _UNTRUSTED.reset(token)


def untrusted_call(input: Any, arguments: Mapping[str, Any]) -> Any:
    """The input of a call whose caller is unknown, with base64 decoded.

    Raises:
        InputError: if it is, or contains, anything but the bytes of files, base64, data URIs or decoded pictures, or
            if the call names a file to write.
    """
    if arguments.get('output_video') is not None:
        raise InputError(
            "'output_video' is not allowed here: a server writes no files. The result is the video itself."
        )
    return _content(input)


def _content(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: item if key in TEXTS else _content(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_content(item) for item in value]
    # ModelScope's server decodes the base64 of pictures.
    if isinstance(value, (bytes, bytearray, memoryview, Image.Image)):
        return value
    decoded = None
    if isinstance(value, str):
        decoded = decode_data_uri(value) if value[:5].lower() == 'data:' else decode_base64(value)
    if not decoded:
        raise InputError(
            f'A server takes the content of a picture or a video as bytes, base64 or a data URI, found {shown(value)}. '
            'Paths and addresses are not allowed here.'
        )
    return decoded
