"""``video-to-video``: a video becomes a sharper one of higher resolution."""

from __future__ import annotations

import argparse
from typing import Any

from modelscope_i2v.cli.generate import generate
from modelscope_i2v.cli.options import add_generation_options, add_model_options, add_output_options
from modelscope_i2v.generation.arguments import VideoToVideoArguments
from modelscope_i2v.plugin.registration import VIDEO_TO_VIDEO


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = subparsers.add_parser(
        'video-to-video',
        help='make a video sharper',
        description='Make a video sharper and larger, guided by text; its frame rate and sound stay.',
    )
    parser.add_argument('video', metavar='VIDEO', help='path or URL of the video')
    add_output_options(parser)
    add_model_options(parser)
    add_generation_options(parser, VideoToVideoArguments)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Generate, write, report."""
    from modelscope_i2v.media.reading.open import open_video

    return generate(arguments, VIDEO_TO_VIDEO, arguments.video, open_video)
