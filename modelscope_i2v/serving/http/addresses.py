"""What a request to the page names is never fetched: Gradio would load an address, or send the browser to it."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelscope_i2v.serving.http.errors import error_response

#: Where Gradio answers the page.
_PAGE = '/gradio_api/'
#: The beginning of an address, and of what follows that place if it leads to one.
_ADDRESS = re.compile(r'\s*[a-z][a-z0-9+.-]+:[/\\]', re.IGNORECASE)
_LEADS_AWAY = re.compile(r'/*(?:proxy=|file=\s*(?:[a-z][a-z0-9+.-]+:|[/\\]{2}))', re.IGNORECASE)
#: What Gradio calls the place of a file.
_PLACE = 'path'


class NoAddresses:
    """Middleware that refuses requests which name an address instead of an uploaded file."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope['type'] != 'http' or not scope['path'].startswith(_PAGE):
            await self._app(scope, receive, send)
            return
        if _LEADS_AWAY.match(scope['path'].removeprefix(_PAGE)):
            await _refuse(404, 'There is no such file here.', 'not_found', scope, receive, send)
            return
        if scope['method'] == 'POST' and 'json' in Headers(scope=scope).get('content-type', ''):
            messages = await _whole(receive)
            try:
                found = names_address(json.loads(b''.join(message.get('body', b'') for message in messages)))
            except (ValueError, RecursionError):
                await _refuse(400, 'The request is not valid JSON.', 'invalid_request', scope, receive, send)
                return
            if found:
                said = 'Addresses are not fetched. Upload the file.'
                await _refuse(400, said, 'invalid_request', scope, receive, send)
                return
            receive = _again(messages, receive)
        await self._app(scope, receive, send)


def names_address(value: Any) -> bool:
    """Whether a file in parsed JSON is at an address.

    >>> names_address({'data': [{'path': 'https://example.com/a.png'}]})
    True
    >>> names_address({'data': ['https://example.com', {'path': '/tmp/gradio/a.png'}]})
    False
    """
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            place = each.get(_PLACE)
            if isinstance(place, str) and _ADDRESS.match(place):
                return True
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return False


async def _whole(receive: Receive) -> list[Message]:
    """All of a request's body, which has a limit, as it arrived."""
    messages = [await receive()]
    while messages[-1]['type'] == 'http.request' and messages[-1].get('more_body', False):
        messages.append(await receive())
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """``messages``, and then what else arrives."""

    async def next_message() -> Message:
        return messages.pop(0) if messages else await receive()

    return next_message


async def _refuse(status: int, said: str, code: str, scope: Scope, receive: Receive, send: Send) -> None:
    await error_response(status, said, code)(scope, receive, send)
