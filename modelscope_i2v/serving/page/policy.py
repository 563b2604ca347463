"""The page asks nothing of another host: browsers are told to refuse it, should a library try."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Gradio's own scripts stand in the page, and some are made there.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:"
)


class OwnHostOnly:
    """Middleware that adds the policy to every page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def with_policy(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                if headers.get('content-type', '').startswith('text/html'):
                    headers['Content-Security-Policy'] = POLICY
                    headers['Referrer-Policy'] = 'same-origin'
            await send(message)

        await self._app(scope, receive, with_policy if scope['type'] == 'http' else send)
