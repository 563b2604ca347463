"""``python -m demo_training``: train both small models of the first generation, or resume an interrupted training."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from pathlib import Path

from modelscope_i2v.cli.terminal import complain
from modelscope_i2v.errors import ConfigurationError, ModelScopeI2VError
from modelscope_i2v.training.requirements import check_requirements


def main() -> int:
    """Parse the arguments and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m demo_training', description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path('small-training'), help='for checkpoints, logs, pools')
    parser.add_argument('--output', type=Path, help='for the two model folders (default: models in --folder)')
    parser.add_argument('--scale', type=float, default=1.0, help='share of steps and clips, for a trial (default: 1)')
    arguments = parser.parse_args()
    output = arguments.output or arguments.folder / 'models'
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    try:
        check_requirements()
        if importlib.util.find_spec('skimage') is None:
            raise ConfigurationError('The recipe trains on pictures from scikit-image. Run pip install scikit-image.')
        from demo_training.recipe import Recipe

        Recipe(arguments.folder, output, arguments.scale).run()
    except ModelScopeI2VError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain('interrupted; run the same command to resume from the last checkpoint.')
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
