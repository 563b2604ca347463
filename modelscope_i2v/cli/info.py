"""``info``: what a video is and how it was made."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from modelscope_i2v.cli.options import add_json_option
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.pictures import add_sheet_option, check_sheet, save_sheet
from modelscope_i2v.cli.terminal import say, say_json


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'info',
        usage='VIDEO [--sheet FILE] [--json]',
        summary='show how a video was made',
        description='Show how a video was made: the recipe that its file contains. --sheet also draws its frames.',
        examples=['video.mp4', 'video.mp4 --sheet sheet.png'],
    )
    parser.add_argument('video', metavar='VIDEO', help='a video written by this package')
    add_sheet_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read and report."""
    from modelscope_i2v.media.reading.info import probe_video, read_recipe

    if arguments.sheet is not None:
        check_sheet(arguments.sheet, arguments.video)
    info, recipe = probe_video(arguments.video), read_recipe(arguments.video)
    if arguments.sheet is not None:
        save_sheet(arguments.video, arguments.sheet)
    if arguments.json:
        say_json({**dataclasses.asdict(info), 'recipe': recipe})
        return 0
    say(f'{info.path}: {info.width}x{info.height}, {info.frames} frames, {info.fps:g} fps, {info.duration:g} s')
    if not recipe:
        say('It contains no recipe: another program wrote it, or its metadata was stripped.')
    for number, entry in enumerate(recipe, 1):
        say(f'stage {number}: {entry.get("stage", "unknown")}')
        for name, value in entry.items():
            if name not in ('stage', 'version'):
                say(f'  {name:18} {value}')
    return 0
