"""``modelscope i2v``: the same verbs inside ModelScope's own command line (entry point ``modelscope_hub.cli_plugins``).

ModelScope loads this module for each of its commands. That also registers our classes for ``modelscope server``.
"""

from __future__ import annotations

import argparse
from typing import Any

from modelscope_i2v.cli.main import add_verbs, run_verb
from modelscope_i2v.cli.terminal import complain


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

    def execute(self) -> None:
        """Run the verb, then raise SystemExit with its exit code."""
        if getattr(self.args, 'token', None) or getattr(self.args, 'endpoint', None):
            complain(
                "'modelscope --token' and '--endpoint' have no effect on i2v. Run 'modelscope login', or set "
                'MODELSCOPE_API_TOKEN and MODELSCOPE_ENDPOINT.'
            )
            raise SystemExit(2)
        raise SystemExit(run_verb(self.args))
