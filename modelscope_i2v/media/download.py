"""Fetching a file from a web address."""

from __future__ import annotations

import io
import re
import time
from typing import BinaryIO

from modelscope_i2v.errors import InputError

MAX_BYTES = 64 * 2**20
_CHUNK = 2**16
_DEADLINE = 120.0
# All characters that may appear unescaped in a URL, plus '%', so that existing escapes survive.
_SAFE = "%/:?#[]@!$&'()*+,;=~"


def download(url: str, *, limit: int = MAX_BYTES, timeout: float = 30.0) -> bytes:
    """Return the body of an http(s) ``url``. Arguments and errors are the same as for ``download_to``."""
    body = io.BytesIO()
    download_to(url, body, limit=limit, timeout=timeout)
    return body.getvalue()


def download_to(url: str, file: BinaryIO, *, limit: int, timeout: float = 30.0, deadline: float = _DEADLINE) -> None:
    """Write the body of an http(s) ``url`` to ``file``.

    Args:
        url: an ``http://`` or ``https://`` address; redirects are followed.
        limit: largest accepted body in bytes.
        timeout: seconds without any response after which the download fails.
        deadline: seconds after which the download fails in any case.

    Raises:
        InputError: the address is malformed or unreachable, the server responds with an error, or the download is cut
            off, too slow or too large.
    """
    import http.client
    import urllib.parse
    import urllib.request

    give_up_at = time.monotonic() + deadline
    size = 0
    try:
        # Some hosts reject urllib's default user agent.
        request = urllib.request.Request(urllib.parse.quote(url, safe=_SAFE), headers={'User-Agent': 'modelscope-i2v'})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            announced = response.headers.get('Content-Length')
            # read1 returns the bytes that have arrived, so a slow server cannot keep the loop going past the deadline.
            while chunk := response.read1(_CHUNK):
                size += len(chunk)
                if size > limit:
                    break
                file.write(chunk)
                if time.monotonic() > give_up_at:
                    raise TimeoutError(f'not complete after {deadline:.0f} s')
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(
            f'Cannot download {url!r}: {error}. Check the address and the connection, or download the file yourself '
            f'and give its path.'
        ) from error
    if size > limit:
        raise InputError(
            f'{url!r} is larger than the {limit:,} bytes allowed for a download. Download the file yourself and give '
            f'its path.'
        )
    # A header may say anything, also in digits that are not ASCII or too many to convert.
    if announced is not None and re.fullmatch('[0-9]{1,18}', announced) and size != int(announced):
        raise InputError(f'{url!r} was cut off: {size:,} of {int(announced):,} bytes arrived. Try again.')
