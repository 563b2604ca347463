"""Virtual environments made for a test, which borrow the dependencies of this one."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def new_environment(folder, *, with_checkout=True, with_pip=False):
    """A virtual environment that finds the packages of this one and, if wanted, this checkout."""
    venv.create(folder, with_pip=with_pip)
    here = next(path for path in map(Path, sys.path) if (path / 'torch').is_dir())
    lines = [str(here), *([str(ROOT)] if with_checkout else [])]
    (site_packages(folder) / 'borrowed.pth').write_text('\n'.join(lines) + '\n')
    return folder


def site_packages(environment):
    return next(environment.glob('lib/python*/site-packages'))


def run_in(environment, *arguments, cwd=None, timeout=300, **variables):
    """Run the environment's interpreter, without our own settings for Python or for this package."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(('PYTHON', 'MODELSCOPE'))}
    return subprocess.run(
        [environment / 'bin' / 'python', *map(str, arguments)],
        env={**clean, **variables},
        cwd=cwd or environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
