"""Photographs and other pictures to stand behind emoji and to move on their own: square crops of wallpapers.

A picture is often there in several sizes, and for a light and a dark desktop. Those are one picture here, so that what
is held out is really never seen.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from demo_training.emoji_and_photographs.packages import unpack_debian
from modelscope_i2v.files import output_errors, replacing

#: Pixels per side of a crop. A camera that sees half of its width sees a picture of 128 pixels.
SIDE = 256
#: Sides of crops in units of the picture's shorter side, and how many of each are taken from a picture.
SIZES = {1.0: 2, 0.6: 3, 0.35: 4}
#: Crops whose grey values have a standard deviation below this, of 255, show nothing.
MIN_CONTRAST = 6.0
MIN_SOURCE_SIDE = 400
SUFFIXES = frozenset({'.jpg', '.png', '.webp'})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photographs:
    """Crops of pictures.

    Attributes:
        names: the picture that each crop comes from.
        crops: uint8 ``[N, SIDE, SIDE, 3]``.
    """

    names: tuple[str, ...]
    crops: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def pictures(self) -> list[str]:
        """The names of all pictures, in alphabetical order."""
        return sorted(set(self.names))


def cut_photographs(fetch: Callable[[], Iterable[Path]], folder: Path) -> Photographs:
    """Crops of all pictures in Debian packages; cut into ``folder`` if they are not yet.

    Args:
        fetch: gets the packages, if they are needed.

    Raises:
        OutputError: if the result cannot be written.
    """
    index, crops = folder / 'photographs.json', folder / 'photographs.npy'
    if not index.exists():
        with output_errors(folder), tempfile.TemporaryDirectory(dir=folder) as unpacked:
            for package in fetch():
                unpack_debian(package, Path(unpacked))
            _cut(Path(unpacked), index, crops)
    names = json.loads(index.read_text(encoding='utf-8'))
    return Photographs(tuple(names), np.load(crops))


def picture_name(path: Path) -> str:
    """What all sizes and shades of a picture have in common.

    >>> picture_name(Path('usr/share/wallpapers/Kay/contents/images_dark/5120x2880.png'))
    'Kay'
    >>> picture_name(Path('usr/share/backgrounds/mate/abstract/Elephants_3840x2160.jpg'))
    'Elephants'
    >>> picture_name(Path('usr/share/backgrounds/gnome/wood-d.webp'))
    'wood'
    """
    if 'contents' in path.parts:
        return path.parts[path.parts.index('contents') - 1]
    return re.sub(r'(-[dl]|_\d+x\d+)$', '', path.stem)


def chosen_files(folder: Path) -> dict[Path, str]:
    """The largest file of each shade of each picture below ``folder``, with the picture's name."""
    largest: dict[tuple[str, bool], tuple[int, Path]] = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix not in SUFFIXES or path.is_symlink() or not path.is_file() or path.stem == 'screenshot':
            continue
        with Image.open(path) as image:
            size, sides = image.width * image.height, image.size
        shade = path.parent.name == 'images_dark' or path.stem.endswith('-d')
        key = (picture_name(path.relative_to(folder)), shade)
        if min(sides) >= MIN_SOURCE_SIDE and size > largest.get(key, (0, path))[0]:
            largest[key] = size, path
    return {path: name for (name, _), (_, path) in sorted(largest.items())}


def crops_of(image: Image.Image) -> Iterator[np.ndarray]:
    """The crops of a picture that show something, ``[SIDE, SIDE, 3]``; where they are depends on its size alone."""
    rng = np.random.default_rng(image.size)
    for share, count in SIZES.items():
        side = share * min(image.size)
        for number in range(count):
            # From left to right, so that crops of a size differ; up and down by chance.
            left = (number + rng.uniform()) / count * (image.width - side)
            top = rng.uniform() * (image.height - side)
            box = (left, top, left + side, top + side)
            crop = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
            if np.asarray(crop.convert('L'), dtype=np.float32).std() >= MIN_CONTRAST:
                yield np.asarray(crop)


def _cut(unpacked: Path, index: Path, crops: Path) -> None:
    names, found = [], []
    for path, name in chosen_files(unpacked).items():
        with Image.open(path) as image:
            if image.has_transparency_data and image.convert('RGBA').getextrema()[3][0] < 255:  # type: ignore[misc, unused-ignore]  # the type of a band alone
                continue  # what is behind it is not known
            for crop in crops_of(image.convert('RGB')):
                names.append(name)
                found.append(crop)
    logger.info('cut %d crops from %d pictures', len(found), len(set(names)))
    with output_errors(crops), replacing(crops) as draft, draft.open('wb') as file:
        np.save(file, np.stack(found))
    with output_errors(index), replacing(index) as draft:
        draft.write_text(json.dumps(names), encoding='utf-8')
