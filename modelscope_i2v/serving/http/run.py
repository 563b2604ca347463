"""Serves an application until the process is told to stop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.auto import AutoHTTPProtocol

#: Seconds in which a new connection must send the head of a request.
SILENCE = 10.0
#: Seconds that open connections get when the server stops.
_GRACE = 5


class ImpatientProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Closes connections that ask for nothing. Uvicorn would keep them for ever."""

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self._silence = asyncio.get_running_loop().call_later(SILENCE, self._close_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """A client is gone."""
        self._silence.cancel()
        super().connection_lost(exc)

    def _close_silent(self) -> None:
        if self.cycle is None:  # no request so far
            self.transport.close()


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        log_level='warning',
        timeout_graceful_shutdown=_GRACE,
        server_header=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listening])
