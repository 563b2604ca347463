"""Animated emoji as clips of RGBA frames, decoded once and kept in one file.

The packages hold ``<codepoints>.webp`` of 256x256 pixels, most with 72 frames in three seconds.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from modelscope_i2v.files import output_errors, replacing

#: Of the frames that are kept: pixels per side, frames per second, and at most so many of them.
SIDE, FPS, MAX_FRAMES = 128, 8, 32
#: Pictures of fewer frames are hardly animated.
MIN_SOURCE_FRAMES = 24
SKIN_TONES = frozenset({'1f3fb', '1f3fc', '1f3fd', '1f3fe', '1f3ff'})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Emoji:
    """The clips of many emoji.

    Attributes:
        names: hexadecimal codepoints, joined by hyphens, of each emoji, in alphabetical order.
        starts: the first frame of each emoji in ``frames``, and the number of all frames.
        frames: uint8 ``[N, SIDE, SIDE, 4]``, RGBA with plain (not premultiplied) colours. The animations are loops.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def length(self, index: int) -> int:
        """The number of frames of emoji ``index``, at :data:`FPS` frames per second."""
        return self.starts[index + 1] - self.starts[index]

    def clip(self, index: int, first: int = 0, count: int | None = None) -> np.ndarray:
        """``count`` frames (None: all) of emoji ``index`` from frame ``first`` on; after the last comes the first."""
        length = self.length(index)
        numbers = (first + np.arange(length if count is None else count)) % length
        return self.frames[self.starts[index] + numbers]


def decoded_emoji(fetch: Callable[[], Iterable[Path]], folder: Path, unlisted: frozenset[str] = frozenset()) -> Emoji:
    """The emoji in npm packages, without variants of skin tone; decoded into ``folder`` if they are not yet.

    Args:
        fetch: gets the packages, if they are needed.
        unlisted: names of emoji that are left out.

    Raises:
        OutputError: if the result cannot be written.
    """
    index, frames = folder / 'emoji.json', folder / 'emoji.npy'
    if not index.exists():
        _decode(fetch(), index, frames, unlisted)
    content = json.loads(index.read_text(encoding='utf-8'))
    return Emoji(tuple(content['names']), tuple(content['starts']), np.load(frames, mmap_mode='r'))


def is_wanted(name: str) -> bool:
    """Whether ``name`` is not a variant of another emoji in one of five skin tones."""
    return not SKIN_TONES.intersection(name.split('-'))


def decode_clip(content: bytes) -> np.ndarray | None:
    """The frames of a WebP file, ``[F, SIDE, SIDE, 4]``, or None if it has fewer than :data:`MIN_SOURCE_FRAMES`."""
    with Image.open(io.BytesIO(content)) as image:
        count = getattr(image, 'n_frames', 1)
        if count < MIN_SOURCE_FRAMES:
            return None
        frames, times, now = [], [], 0
        for number in range(count):
            image.seek(number)
            image.load()
            times.append(now)
            now += int(image.info['duration'])
            frames.append(image.convert('RGBA').copy())
    wanted = np.arange(min(MAX_FRAMES, round(now * FPS / 1000))) * 1000 / FPS
    numbers = np.searchsorted(times, wanted, side='right') - 1
    return np.stack([np.asarray(_square(frames[number])) for number in numbers])


def _decode(archives: Iterable[Path], index: Path, frames: Path, unlisted: frozenset[str]) -> None:
    clips = {}
    for name, content in _files(archives):
        if name in unlisted or not is_wanted(name):
            continue
        clip = decode_clip(content)
        if clip is not None:
            clips[name] = clip
    names = sorted(clips)
    logger.info('decoded %d emoji', len(names))
    starts = [0, *np.cumsum([len(clips[name]) for name in names]).tolist()]
    with output_errors(index), replacing(frames) as draft, draft.open('wb') as file:
        np.save(file, np.concatenate([clips[name] for name in names]))
    with output_errors(index), replacing(index) as draft:
        draft.write_text(json.dumps({'names': names, 'starts': starts}), encoding='utf-8')


def _files(archives: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the WebP files in npm packages."""
    for archive in archives:
        with tarfile.open(archive) as package:
            for member in package:
                path = PurePosixPath(member.name)
                file = package.extractfile(member) if path.suffix == '.webp' else None
                if file is not None:
                    yield path.stem, file.read()


def _square(image: Image.Image) -> Image.Image:
    """``image``, scaled to fit into a transparent square of :data:`SIDE` pixels."""
    scale = SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    # Pillow weights colours by opacity when it scales RGBA.
    scaled = image.resize(size, Image.Resampling.BOX if image.width % SIDE == 0 else Image.Resampling.LANCZOS)
    square = Image.new('RGBA', (SIDE, SIDE))
    square.paste(scaled, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return square
