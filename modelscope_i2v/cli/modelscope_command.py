"""``modelscope i2v``: the same verbs inside ModelScope's own command line (entry point ``modelscope_hub.cli_plugins``).

ModelScope loads this module for each of its commands. That also registers our classes for ``modelscope server``, and
keeps its callers away from the server's files.
"""

from __future__ import annotations

import argparse
from functools import wraps
from typing import Any

from modelscope_i2v.cli.main import add_verbs, run_verb
from modelscope_i2v.cli.terminal import complain
from modelscope_i2v.generation.untrusted import untrusted_callers

_GUARDED = '_modelscope_i2v_guarded'


def guard_server() -> None:
    """Let ``modelscope server`` run with :func:`untrusted_callers`. Calling it again changes nothing.

    ModelScope offers no hook for its own commands, and may register this one before or after ours. So the method that
    runs it is replaced.
    """
    try:
        from modelscope.cli.server import ServerCMD
    except ImportError:  # a ModelScope without a server
        return
    if getattr(ServerCMD, _GUARDED, False):
        return
    run = ServerCMD.execute

    @wraps(run)
    def execute(command: Any) -> Any:
        with untrusted_callers():
            return run(command)

    ServerCMD.execute = execute
    setattr(ServerCMD, _GUARDED, True)


class I2VCommand:
    """A command in the form that ModelScope's plug-in interface expects."""

    name = 'i2v'

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    @staticmethod
    def register(subparsers: Any) -> None:
        """Add ``i2v`` and its verbs."""
        parser: Any = subparsers.add_parser(I2VCommand.name, help='turn pictures into videos (modelscope_i2v)')
        add_verbs(parser)
        parser.set_defaults(_command=I2VCommand)
        guard_server()

    def execute(self) -> None:
        """Run the verb, then raise SystemExit with its exit code."""
        if getattr(self.args, 'token', None) or getattr(self.args, 'endpoint', None):
            complain(
                "'modelscope --token' and '--endpoint' have no effect on i2v. Run 'modelscope login', or set "
                'MODELSCOPE_API_TOKEN and MODELSCOPE_ENDPOINT.'
            )
            raise SystemExit(2)
        raise SystemExit(run_verb(self.args))
