"""Fetching a file from a web address."""

from __future__ import annotations

import io
import time
from typing import BinaryIO

from modelscope_i2v.errors import InputError

MAX_BYTES = 64 * 2**20
_CHUNK = 2**16
_DEADLINE = 120.0
# Everything that may stand unescaped in a URL, and '%' so that escapes which are there already survive.
_SAFE = "%/:?#[]@!$&'()*+,;=~"


def download(url: str, *, limit: int = MAX_BYTES, timeout: float = 30.0) -> bytes:
    """The body behind an http(s) ``url``; arguments and errors of ``download_to``."""
    body = io.BytesIO()
    download_to(url, body, limit=limit, timeout=timeout)
    return body.getvalue()


def download_to(url: str, file: BinaryIO, *, limit: int, timeout: float = 30.0, deadline: float = _DEADLINE) -> None:
    """Write the body behind an http(s) ``url`` to ``file``.

    Args:
        url: an ``http://`` or ``https://`` address; redirects are followed.
        limit: largest accepted body in bytes.
        timeout: seconds without any answer after which the download is given up.
        deadline: seconds after which it is given up in any case.

    Raises:
        InputError: the address is malformed, unreachable, answers with an error, is cut off, too slow or too large.
    """
    import http.client
    import urllib.parse
    import urllib.request

    give_up_at = time.monotonic() + deadline
    size = 0
    try:
        # Some hosts turn the library's own agent name away.
        request = urllib.request.Request(urllib.parse.quote(url, safe=_SAFE), headers={'User-Agent': 'modelscope-i2v'})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            announced = response.headers.get('Content-Length')
            # read1 returns what has arrived, so a server that drips cannot hold the loop beyond the deadline.
            while chunk := response.read1(_CHUNK):
                size += len(chunk)
                if size > limit:
                    break
                file.write(chunk)
                if time.monotonic() > give_up_at:
                    raise TimeoutError(f'not complete after {deadline:.0f} s')
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(
            f'Cannot download {url!r}: {error}. Check the address and the connection, or download it by hand and give '
            f'the path.'
        ) from error
    if size > limit:
        raise InputError(
            f'{url!r} is larger than the {limit:,} bytes that are downloaded at most. Download it by hand and give '
            f'the path.'
        )
    if announced is not None and announced.isdigit() and size != int(announced):
        raise InputError(f'{url!r} was cut off: {size:,} of {int(announced):,} bytes arrived. Try again.')
