"""``python -m demo_training``: train both embedded models, or resume an interrupted training."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import sys
from pathlib import Path

import modelscope_i2v
from modelscope_i2v.cli.terminal import complain
from modelscope_i2v.errors import ConfigurationError, ModelScopeI2VError
from modelscope_i2v.files import write_json
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.model_folder import FILE_NAME
from modelscope_i2v.training.requirements import check_requirements
from modelscope_i2v.weights.save import WEIGHT_FILES

PACKAGE = Path(modelscope_i2v.__file__).parent


def main() -> int:
    """Parse the arguments and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m demo_training', description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path('embedded-training'), help='for checkpoints, logs, pools')
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
        if output.resolve() == PACKAGE / 'embedded' and (PACKAGE.parent / 'setup.py').exists():
            write_checkout_configuration(PACKAGE.parent)
    except ModelScopeI2VError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain('interrupted; run the same command to resume from the last checkpoint.')
        return 130
    return 0


def write_checkout_configuration(checkout: Path) -> None:
    """Make ``checkout`` itself a model folder: the embedded stage 1, pointing to the weights in the package."""
    folder = PACKAGE / 'embedded' / str(IMAGE_TO_VIDEO.embedded)
    content = json.loads((folder / FILE_NAME).read_text(encoding='utf-8'))
    place = folder.relative_to(PACKAGE.parent).as_posix()
    content['model']['model_args'].update({key: f'{place}/{name}' for key, name in WEIGHT_FILES.items()})
    write_json(content, checkout / FILE_NAME)


if __name__ == '__main__':
    sys.exit(main())
