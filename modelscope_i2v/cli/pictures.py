"""Options that show a result in pictures: a contact sheet, and a comparison of before and after."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelscope_i2v.cli.takes import Take, check_files

if TYPE_CHECKING:
    from PIL import Image

#: Frames of each video on a contact sheet, pixels of their longer side, and pixels between them.
FRAMES, SIDE, GAP = 6, 256, 4


def add_preview_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for a contact sheet."""
    parser.add_argument(
        '--preview',
        metavar='FILE',
        help=f'also write a contact sheet to FILE (.png, .jpg or .webp): the input and {FRAMES} frames of the video, a '
        'row for each seed (default: none)',
    )


def add_comparison_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for a comparison of before and after."""
    parser.add_argument(
        '--compare',
        metavar='SIDE.mp4',
        help='also write a video that shows before on the left and after on the right (default: none)',
    )


def add_sheet_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the contact sheet of a video that exists."""
    parser.add_argument(
        '--sheet', metavar='FILE', help='write a contact sheet to FILE (.png, .jpg or .webp) (default: none)'
    )


def check_outputs(arguments: argparse.Namespace, source: str, takes: list[Take]) -> None:
    """Refuse files that cannot be written, before anything is opened or loaded.

    Raises:
        InputError: if two of them are the same. OutputError: if one cannot be written.
    """
    from modelscope_i2v.media.writing.write import check_output

    compare, preview = getattr(arguments, 'compare', None), arguments.preview
    videos = [('--output', arguments.output), ('--keep-stage1', getattr(arguments, 'keep_stage1', None))]
    named = [(option, take.file(file)) for take in takes for option, file in [*videos, ('--compare', compare)]]
    check_files(source, [*named, ('--preview', preview)], kept=bool(compare or preview))
    for _, file in named:
        if file is not None:
            check_output(file)
    if preview is not None:
        from modelscope_i2v.media.writing.sheet import check_picture

        check_picture(preview)


def check_sheet(path: str, video: str) -> None:
    """Refuse a file for the sheet of ``video`` that cannot be written; errors as :func:`check_outputs`."""
    from modelscope_i2v.media.writing.sheet import check_picture

    check_files(video, [('--sheet', path)], kept=True)
    check_picture(path)


def save_sheet(video: str, path: str) -> None:
    """Write the contact sheet of a video; raises InputError or OutputError."""
    from modelscope_i2v.media.reading.open import open_video
    from modelscope_i2v.media.writing.sheet import save_picture, video_sheet

    save_picture(video_sheet(open_video(video), SIDE, GAP), path)


class Preview:
    """A contact sheet with a row for each video: the input, and frames of the video.

    Args:
        opened: the input. Of a video, the first frame is shown; of a text, nothing.
    """

    def __init__(self, opened: Any) -> None:
        from PIL import Image

        from modelscope_i2v.media.reading.open import VideoSource
        from modelscope_i2v.media.writing.sheet import spaced_frames

        self._given: list[Image.Image] = []
        if isinstance(opened, Image.Image):
            self._given = [opened.copy()]
            self._given[0].thumbnail((SIDE, SIDE))
        elif isinstance(opened, VideoSource):
            self._given = spaced_frames(opened, 1, SIDE)
        self._rows: list[list[Image.Image]] = []

    def add(self, video: str) -> None:
        """Add the video in a file."""
        from modelscope_i2v.media.reading.open import open_video
        from modelscope_i2v.media.writing.sheet import spaced_frames

        self._rows.append([*self._given, *spaced_frames(open_video(video), FRAMES, SIDE)])

    def save(self, path: str) -> None:
        """Write the sheet; raises OutputError if that fails."""
        from modelscope_i2v.media.writing.sheet import contact_sheet, save_picture

        frame = self._rows[0][-1]
        scale = SIDE / max(frame.size)
        cell = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        save_picture(contact_sheet(self._rows, cell, GAP), path)


def compare(before: Any, after: str, path: str) -> None:
    """Write a video of a video before and after; ``before`` is anything that :func:`open_video` takes, or opened."""
    from modelscope_i2v.media.reading.open import VideoSource, open_video
    from modelscope_i2v.media.writing.comparison import write_comparison

    write_comparison(before if isinstance(before, VideoSource) else open_video(before), open_video(after), path)
