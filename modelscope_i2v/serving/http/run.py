"""Binds an address and serves an engine's API until the process is told to stop."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from modelscope_i2v.errors import InputError, OutputError, shown
from modelscope_i2v.serving.http.guard import LOOPBACK, Access

#: Connections at a time; more are answered with 503.
_MOST_CONNECTIONS = 256
#: Seconds that open connections get when the server stops.
_GRACE = 5


def check_address(host: str, access: Access) -> None:
    """Raise InputError for an address that others can reach, unless there is a token or they are welcome."""
    if host not in LOOPBACK and access.token is None and not access.public:
        raise InputError(
            f'Everybody who reaches {shown(host)} could use this server. Give it a token with --token-file or the '
            'variable MODELSCOPE_I2V_TOKEN, or say --public if they may.'
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one.

    Raises:
        OutputError: if the address cannot be used.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError, UnicodeError) as error:
        listening.close()
        reason = getattr(error, 'strerror', None) or str(error)
        raise OutputError(f'Cannot listen on {shown(host)}, port {port}: {reason}. Choose another port.') from error
    return listening


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_level='warning',
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listening])
