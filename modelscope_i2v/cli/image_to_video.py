"""``image-to-video``: a picture becomes a video."""

from __future__ import annotations

import argparse
from typing import Any

from modelscope_i2v.cli.generate import generate
from modelscope_i2v.cli.options import add_generation_options, add_model_options, add_output_options
from modelscope_i2v.generation.arguments import ImageToVideoArguments
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = subparsers.add_parser(
        'image-to-video', help='turn a picture into a video', description='Turn a picture into a video.'
    )
    parser.add_argument('image', metavar='IMAGE', help='path or URL of the picture')
    add_output_options(parser)
    add_model_options(parser)
    add_generation_options(parser, ImageToVideoArguments)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Generate, write, report."""
    from modelscope_i2v.media.images.load import load_image

    return generate(arguments, IMAGE_TO_VIDEO, arguments.image, load_image)
