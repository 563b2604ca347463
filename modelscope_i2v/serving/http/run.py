"""Serves an application until the process is told to stop."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

#: Connections at a time; more are answered with 503.
_MOST_CONNECTIONS = 128
#: Seconds that open connections get when the server stops.
_GRACE = 5


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_level='warning',
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
        server_header=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listening])
