"""What stands in front of the routes: who may ask, and how much they may send. Plain ASGI."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelscope_i2v.serving.http.address import LOOPBACK
from modelscope_i2v.serving.http.errors import SlowBodyError, error_response
from modelscope_i2v.serving.jobs import TooLargeError

#: Paths that need no token.
_OPEN = ('/health',)
#: The path of the page for people.
PAGE = '/'
#: Bytes of a body that is too large which are read all the same: before that, most clients do not look for an answer.
_DRAIN = 2**30
#: Requests at a time; more are answered with 503.
_MOST_REQUESTS = 512
#: Seconds that may pass between two parts of a body.
_PATIENCE = 60.0
#: Closes a websocket that is not allowed.
_CLOSE = {'type': 'websocket.close', 'code': 1008}


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        token: that requests must have as ``Authorization: Bearer``, or as the password of ``Basic``, which browsers
            send; None: none is needed.
        public: whether anybody may use it without a token.
    """

    token: str | None = None
    public: bool = False

    @property
    def is_open(self) -> bool:
        """Whether everybody is served, without a token."""
        return self.public and self.token is None

    def refusal(self, path: str, headers: Mapping[str, str]) -> Response | None:
        """The answer to a request that is not allowed, else None."""
        if path in _OPEN:
            return None
        if self.token is not None:
            authorization = headers.get('authorization', '')
            if hmac.compare_digest(_token_of(authorization), self.token.encode()):
                # Browsers send a password again by themselves, also when the page of another host asks for something.
                return _foreign(headers) if authorization.startswith('Basic') else None
            said = "This server needs its token: send it as 'Authorization: Bearer TOKEN', or as the page's password."
            # A browser then asks its user, and sends the answer with everything that the page asks for.
            scheme = 'Basic realm="modelscope_i2v"' if path == PAGE else 'Bearer'
            return error_response(401, said, 'invalid_token', {'WWW-Authenticate': scheme})
        if self.is_open:
            return None
        # Pages of other hosts must not use a server of this machine through the browser of its user.
        host = _name_of(f'//{headers.get("host", "")}')
        origin = headers.get('origin')
        if host not in LOOPBACK or (origin is not None and _name_of(origin) not in LOOPBACK):
            said = 'This server is for programs and pages of its own machine only.'
            return error_response(403, said, 'not_local')
        return None


def _foreign(headers: Mapping[str, str]) -> Response | None:
    """The answer to a request that the page of another host has sent, else None."""
    origin = headers.get('origin')
    parts = _parsed(origin or '')
    if origin is None or (parts is not None and parts.netloc == headers.get('host', '')):
        return None
    return error_response(403, 'Pages of other hosts may not use this server.', 'not_local')


def _token_of(authorization: str) -> bytes:
    """The token that a header contains: of programs, or as the password that a browser asked for."""
    scheme, _, value = authorization.partition(' ')
    if scheme == 'Bearer':
        return value.encode()
    if scheme != 'Basic':
        return b''
    try:
        return base64.b64decode(value, validate=True).partition(b':')[2]
    except ValueError:
        return b''


def _name_of(address: str) -> str | None:
    parts = _parsed(address)
    return None if parts is None else parts.hostname


def _parsed(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


class Guard:
    """Middleware.

    Args:
        max_body: bytes of a request's body.
    """

    def __init__(self, app: ASGIApp, access: Access, max_body: int) -> None:
        self._app, self._access, self._max_body = app, access, max_body
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope['type'] not in ('http', 'websocket') or scope['path'] in _OPEN:
            await self._app(scope, receive, send)
            return
        if self._requests >= _MOST_REQUESTS and scope['type'] == 'http':
            await error_response(503, 'The server has too many requests. Try again later.', 'busy')(
                scope, receive, send
            )
            return
        self._requests += 1
        try:
            await self._guarded(scope, receive, send)
        finally:
            self._requests -= 1

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._access.refusal(scope['path'], headers)
        if scope['type'] == 'websocket':
            await (self._app(scope, receive, send) if refusal is None else send(_CLOSE))
            return
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        body = _Body(receive, self._max_body)
        declared = headers.get('content-length', '')
        if declared.isdecimal() and int(declared) > self._max_body:
            if int(declared) <= _DRAIN:
                await body.drain()
            await error_response(413, body.too_large, 'too_large')(scope, receive, send)
            return
        await self._app(scope, body.receive, send)


class _Body:
    """The body of a request, counted and timed while it arrives."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._count, self._more = receive, limit, 0, True

    @property
    def too_large(self) -> str:
        return f'The request has more than {self._limit:,} bytes. Send a smaller picture or video.'

    async def receive(self) -> Message:
        """The next part; raises TooLargeError and SlowBodyError."""
        if not self._more:
            return await self._receive()  # to learn whether the client is still there
        try:
            message = await asyncio.wait_for(self._receive(), _PATIENCE)
        except asyncio.TimeoutError as error:
            raise SlowBodyError('The request did not arrive in time. Send it again.') from error
        self._count += len(message.get('body', b''))
        self._more = bool(message.get('more_body', False))
        if self._count > self._limit:
            await self.drain()
            raise TooLargeError(self.too_large)
        return message

    async def drain(self) -> None:
        """Read what is still to come, and forget it."""
        while self._more and self._count <= _DRAIN:
            try:
                message = await asyncio.wait_for(self._receive(), _PATIENCE)
            except asyncio.TimeoutError:
                return
            self._count += len(message.get('body', b''))
            self._more = bool(message.get('more_body', False))
