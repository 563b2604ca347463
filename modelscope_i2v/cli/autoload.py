"""``autoload``: let ModelScope find this package without an import of it, or stop that."""

from __future__ import annotations

import argparse
from typing import Any

from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.terminal import say


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'autoload',
        usage='(--enable | --disable | --status)',
        summary="make the hub's snippets work without 'import modelscope_i2v'",
        description=(
            'Register with ModelScope whenever it is imported, in every program of this environment. Set '
            'MODELSCOPE_I2V_AUTOLOAD=0 to switch this off for one program.'
        ),
        examples=['--enable', '--status'],
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument('--enable', dest='action', action='store_const', const='enable', help='install the hook')
    group.add_argument('--disable', dest='action', action='store_const', const='disable', help='remove the hook')
    group.add_argument(
        '--status', dest='action', action='store_const', const='status', help='say whether the hook is installed'
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change the state or report it."""
    from modelscope_i2v.plugin.autoload import installation

    if arguments.action == 'enable':
        say(f"Autoload is enabled: the hook is in '{installation.enable()}'.")
    elif arguments.action == 'disable':
        removed = installation.disable()
        say(
            f'Autoload is disabled: removed {", ".join(map(str, removed))}.' if removed else 'Autoload was not enabled.'
        )
    else:
        found = installation.status()
        if found.folder is None:
            say('Autoload is disabled.')
        else:
            say(f"Autoload is enabled: the hook is in '{found.folder}'.")
            if not found.current:
                say('The hook belongs to another version. Run --enable again.')
            if found.switched_off:
                say(f'{installation.SWITCH}=0 switches it off here.')
    return 0
