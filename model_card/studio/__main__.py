"""Make the folder of a Studio on ModelScope: ``python -m model_card.studio FOLDER``.

It has the files beside this one, a wheel of this checkout, and the requirements that name it. The name is not looked up
on a package index, where it may belong to somebody else.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / 'files'
#: What a wheel is built from.
SOURCE = ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'modelscope_i2v')


def build_wheel(folder: Path) -> Path:
    """Build a wheel of this checkout in ``folder``; the checkout stays as it is.

    Raises:
        subprocess.CalledProcessError: if that fails; pip has said why.
    """
    # Without the network, if the tools for building are here.
    isolation = ['--no-build-isolation'] if importlib.util.find_spec('setuptools') else []
    with tempfile.TemporaryDirectory() as name:
        source, built = Path(name, 'source'), Path(name, 'built')
        source.mkdir()
        for part in SOURCE:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(ROOT / part, source / part)
        command = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', *isolation, '-w', str(built)]
        subprocess.run([*command, str(source)], check=True)
        (wheel,) = built.glob('*.whl')
        return Path(shutil.copy(wheel, folder / wheel.name))


def make_folder(folder: Path) -> None:
    """Write everything that a Studio needs into ``folder``, which must be new or empty.

    Raises:
        FileExistsError: if there is something in it. subprocess.CalledProcessError: as :func:`build_wheel`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"'{folder}' is not empty. Name a new folder.")
    for file in FILES.iterdir():
        if file.is_file():
            shutil.copy(file, folder / file.name)
    wheel = build_wheel(folder)
    (folder / 'requirements.txt').write_text(f'./{wheel.name}[studio]\n', encoding='utf-8')


def main() -> None:
    """Parse, make the folder."""
    parser = argparse.ArgumentParser(prog='python -m model_card.studio', description='Make the folder of a Studio.')
    parser.add_argument('folder', type=Path, help='a new or empty folder')
    folder = parser.parse_args().folder
    try:
        make_folder(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        parser.exit(1, f'{error}\n')


if __name__ == '__main__':
    main()
