"""``autoload``: have ModelScope know this package without importing it, from now on or no longer."""

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
            'Register with ModelScope whenever that is imported, in all programs of this environment. Switched off for '
            'one program by MODELSCOPE_I2V_AUTOLOAD=0.'
        ),
        examples=['--enable', '--status'],
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument('--enable', dest='action', action='store_const', const='enable', help='install the hook')
    group.add_argument('--disable', dest='action', action='store_const', const='disable', help='remove it')
    group.add_argument('--status', dest='action', action='store_const', const='status', help='say whether it is there')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change or tell."""
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
                say('It is that of another version: run --enable again.')
            if found.switched_off:
                say(f'{installation.SWITCH}=0 switches it off here.')
    return 0
