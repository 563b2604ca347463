"""``convert``: turn a model's files into small safetensors files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelscope_i2v.cli.options import add_json_option, add_offline_option
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.sizes import size_on_disk
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.errors import InputError
from modelscope_i2v.stage import stages


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'convert',
        usage='MODEL -o FOLDER [options]',
        summary="make a model's files small and safe",
        description='Write only the weights that a model uses, as safetensors in half precision. About 15 GB per stage '
        'shrink to 4.3 GB for stage 1 and 3.7 GB for stage 2.',
        examples=[
            'damo/Image-to-Video --model-revision v1.1.0 -o ~/models/Image-to-Video',
            'downloads --stage i2vgen-xl -o ~/models/I2VGen-XL',
        ],
    )
    parser.add_argument('model', metavar='MODEL', help='model folder or hub id')
    parser.add_argument(
        '-o', '--output', required=True, metavar='FOLDER', help='new folder for the converted model (required)'
    )
    parser.add_argument(
        '--model-revision', help="revision on the hub, for example v1.1.0 (default: the hub's default branch)"
    )
    add_offline_option(parser)
    parser.add_argument(
        '--stage',
        choices=[stage.name for stage in stages()],
        help="take MODEL as a folder with the weights of this stage, in the original's files or in diffusers' folders, "
        'and write the configuration, too (default: read configuration.json)',
    )
    parser.add_argument(
        '--dtype', choices=('fp16', 'bf16', 'fp32'), default='fp16', help='precision of the files (default: fp16)'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and report how much space that saved."""
    from modelscope_i2v.generation.load import find_model
    from modelscope_i2v.runtime.device import DTYPES
    from modelscope_i2v.weights.bare_files import model_of_files
    from modelscope_i2v.weights.convert import check_new, convert_model

    if arguments.stage is not None and arguments.model_revision is not None:
        raise InputError(
            "'--stage' takes a folder of weight files, which has no revisions; leave '--model-revision' out."
        )
    check_new(Path(arguments.output))
    if arguments.stage is None:
        source = find_model(arguments.model, arguments.model_revision, offline=arguments.offline).complete()
        sources = None
    else:
        stage = next(stage for stage in stages() if stage.name == arguments.stage)
        source, sources = model_of_files(Path(arguments.model), stage)
    files = []
    for file in convert_model(source, Path(arguments.output), DTYPES[arguments.dtype], sources):
        files.append(file)
        if not arguments.json:
            sizes = f'{size_on_disk(file.size)}, was {size_on_disk(file.source_size)}'
            say(f'{file.path.name}: {sizes} ({file.source.name}); verified')
    before, after = (sum(getattr(file, name) for file in files) for name in ('source_size', 'size'))
    if arguments.json:
        written = {file.path.name: file.size for file in files}
        say_json({'folder': arguments.output, 'files': written, 'size': after, 'source_size': before})
    else:
        saved = f', {1 - after / before:.0%} saved' if after <= before else ''
        say(f'{arguments.output}: {size_on_disk(after)} instead of {size_on_disk(before)}{saved}')
    return 0
