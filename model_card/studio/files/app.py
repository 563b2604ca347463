"""Entry of the Studio: the page and the HTTP API with the embedded models, on port 7860."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from modelscope_i2v.cli.main import main

#: Of a Studio, only what lies here is still there after a restart.
KEPT = Path('/mnt/workspace')


def results_folder(kept: Path = KEPT) -> Path:
    """Where videos are stored."""
    return (kept if kept.is_dir() else Path(tempfile.gettempdir())) / 'modelscope_i2v'


def arguments() -> list[str]:
    """The command line. Everybody may use a Studio, so there is no token, and videos are small and few."""
    where = ['--host', '0.0.0.0', '--port', os.environ.get('GRADIO_SERVER_PORT', '7860'), '--public']
    limits = ['--max-queue', '8', '--max-frames', '32', '--max-steps', '100', '--max-mb', '16']
    # Step 2 doubles each side: a video of 128x128 in the shape of a picture gets a little more than 256x256.
    limits += ['--max-pixels', '131072']
    kept = ['--results', str(results_folder()), '--keep-days', '1', '--keep-gb', '1']
    return ['studio', *where, '--device', 'cpu', *limits, *kept]


if __name__ == '__main__':
    sys.exit(main(arguments()))
