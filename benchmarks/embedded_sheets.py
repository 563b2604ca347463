"""Contact sheets of the embedded stage 1: pictures that it has never seen, and frames of their videos.

    python -m benchmarks.embedded_sheets FOLDER [--model MODEL] [--to OUTPUT]

FOLDER is that of ``python -m demo_training.emoji_and_photographs FOLDER``, which holds the data. The sheets are those
of the card: twelve emoji, six photographs of scikit-image, and one picture with several texts. Each row is the picture,
then frames of its video from the first to the last.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from benchmarks.judging.held_out_clips import HeldOutClip, default_clips
from demo_training.emoji_and_photographs.data import load_data
from demo_training.scenes.layouts import picture
from model_card.pictures.strips import row_of, square
from modelscope_i2v import embedded_model, load
from modelscope_i2v.media.writing.sheet import contact_sheet

ROOT = Path(__file__).parent.parent
#: Pixels per side of a frame on a sheet, and between frames.
SIDE, GAP = 112, 3
EMOJI = 12
#: Pictures of scikit-image, whose subjects have names. Those of a crop of a wallpaper often have none.
PHOTOGRAPHS = ('chelsea', 'astronaut', 'coffee', 'rocket', 'stereo_motorcycle', 'camera')
#: What is asked of one picture.
TEXTS = ('', 'zoom out', 'pan left', 'rotate right', 'still')


def different(clips: Iterable[HeldOutClip]) -> Iterator[HeldOutClip]:
    """The first clip of each subject."""
    seen: set[str] = set()
    for clip in clips:
        if clip.subject not in seen:
            seen.add(clip.subject)
            yield clip


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help="the recipe's folder, which holds the data")
    parser.add_argument('--model', help='its folder (default: the embedded model)')
    parser.add_argument('--to', type=Path, default=ROOT / 'model_card' / 'Embedded', help="default: the card's folder")
    arguments = parser.parse_args()
    pipeline = load(arguments.model or embedded_model('image-to-video'), device='cpu', show_progress=False)
    data = load_data(arguments.folder, held_out=True)
    emoji = islice(different(default_clips(data, photographs=0)), EMOJI)
    cat = square(Image.open(ROOT / 'examples' / 'cat.jpg'))
    sheets = {
        'emoji.jpg': [row_of(pipeline, Image.fromarray(clip.frames[0]), '') for clip in emoji],
        'photographs.jpg': [row_of(pipeline, square(picture(name)), '') for name in PHOTOGRAPHS],
        'texts.jpg': [row_of(pipeline, cat, text) for text in TEXTS],
    }
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, lines in sheets.items():
        contact_sheet(lines, (SIDE, SIDE), GAP).save(arguments.to / name, quality=88)


if __name__ == '__main__':
    main()
