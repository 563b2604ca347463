"""The address that a server listens on."""

from __future__ import annotations

import socket

from modelscope_i2v.errors import InputError, OutputError, shown

#: Names of this machine that no other machine can reach.
LOOPBACK = ('localhost', '127.0.0.1', '::1')


def check_address(host: str, *, token: str | None, public: bool) -> None:
    """Raise InputError for an address that others can reach, unless there is a token or they are welcome."""
    if host not in LOOPBACK and token is None and not public:
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
