"""Putting the start-up hook into an environment, and taking it out."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from modelscope_i2v.errors import OutputError
from modelscope_i2v.files import output_errors, replacing

SWITCH = 'MODELSCOPE_I2V_AUTOLOAD'
MODULE = '_modelscope_i2v_autoload'
#: Python runs lines of .pth files that begin with "import"; they must not complain about a module that is gone.
LINE = f"import sys; exec('try:\\n import {MODULE}\\n {MODULE}.install()\\nexcept Exception:\\n pass')\n"


@dataclass(frozen=True)
class Status:
    """Whether and where the hook is installed.

    Attributes:
        folder: the folder that contains it, or None.
        current: whether it belongs to this version.
        switched_off: whether the environment variable switches it off now.
    """

    folder: Path | None
    current: bool
    switched_off: bool


def status() -> Status:
    """What is installed in this environment."""
    folder = next((folder for folder in _folders() if (folder / f'{MODULE}.pth').exists()), None)
    current = folder is not None and all(
        (folder / name).exists() and (folder / name).read_text(encoding='utf-8') == text
        for name, text in _contents().items()
    )
    return Status(folder, current, os.environ.get(SWITCH) == '0')


def enable() -> Path:
    """Install the hook for all future interpreters of this environment. Returns the folder that contains it.

    Raises:
        OutputError: if none of the folders for it can be written to.
    """
    folder = next((folder for folder in _folders() if _is_writable(folder)), None)
    if folder is None:
        tried = ', '.join(f"'{folder}'" for folder in _folders())
        raise OutputError(f'None of {tried} can be written to. Use a virtual environment of your own.')
    # Write the .pth file last: it names the module.
    for name, text in _contents().items():
        with output_errors(folder / name), replacing(folder / name) as draft:
            draft.write_text(text, encoding='utf-8')
    return folder


def disable() -> list[Path]:
    """Remove the hook wherever it is. Returns the files that were removed.

    Raises:
        OutputError: if a file cannot be removed.
    """
    removed = []
    for folder in _folders():
        for name in reversed(_contents()):
            path = folder / name
            if path.exists():
                with output_errors(path):
                    path.unlink()
                removed.append(path)
    return removed


def _contents() -> dict[str, str]:
    hook = Path(__file__).with_name('hook.py').read_text(encoding='utf-8')
    return {f'{MODULE}.py': hook, f'{MODULE}.pth': LINE}


def _folders() -> list[Path]:
    """Where Python looks for .pth files: the environment's site-packages, then the user's own, if that is used."""
    folders = [Path(sysconfig.get_path('purelib'))]
    in_environment = sys.prefix != sys.base_prefix
    if site.ENABLE_USER_SITE and not in_environment:
        folders.append(Path(site.getusersitepackages()))
    return folders


def _is_writable(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(existing, os.W_OK)
