"""``python -m modelscope_i2v.training.embedded``: train both embedded models, or go on where it stopped."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from modelscope_i2v.training.embedded.recipe import Recipe

PACKAGE = Path(__file__).parents[2]


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog='python -m modelscope_i2v.training.embedded', description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path('embedded-training'), help='for checkpoints, logs, pools')
    parser.add_argument('--output', type=Path, help='gets the two model folders (default: the package itself)')
    parser.add_argument('--scale', type=float, default=1.0, help='share of all steps and clips, to try it (default: 1)')
    arguments = parser.parse_args()
    if arguments.output is None and arguments.scale < 1:
        parser.error('--scale is for trying: say with --output where the models are to go')
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    Recipe(arguments.folder, arguments.output or PACKAGE / 'embedded', arguments.scale).run()


if __name__ == '__main__':
    main()
