"""``python -m demo_training.emoji_and_photographs FOLDER``: train the embedded second generation, or go on with it."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from modelscope_i2v.cli.terminal import complain
from modelscope_i2v.errors import ModelScopeI2VError
from modelscope_i2v.training.requirements import check_requirements


def main() -> int:
    """Parse the arguments and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m demo_training.emoji_and_photographs', description=__doc__)
    parser.add_argument('folder', type=Path, help='for packages, what is made from them, checkpoints and logs')
    parser.add_argument('--scale', type=float, default=1.0, help='share of steps and clips, for a trial (default: 1)')
    parser.add_argument(
        '--keep', action='store_true', help='also keep finished networks in the repository; not with --scale'
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    try:
        check_requirements()
        from demo_training.emoji_and_photographs.recipe import Recipe

        recipe = Recipe(arguments.folder, arguments.scale, keep=arguments.keep)
        with recipe.stop.listening():
            recipe.run()
    except ModelScopeI2VError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain('interrupted; run the same command to go on from there.')
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
