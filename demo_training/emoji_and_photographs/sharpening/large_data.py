"""The emoji and photographs of stage 1 at twice its size: emoji of 256 pixels, crops of photographs of 512.

Both have the names and the order of stage 1's, so that a scene of stage 1 can be drawn from either.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from demo_training.emoji_and_photographs import emoji, photographs
from demo_training.emoji_and_photographs.data import Data, data_fingerprint
from demo_training.emoji_and_photographs.emoji import Emoji, is_wanted
from demo_training.emoji_and_photographs.packages import EMOJI, WALLPAPERS, fetch, unpack_debian
from demo_training.emoji_and_photographs.photographs import Photographs, chosen_files
from demo_training.emoji_and_photographs.split import crop_indices, emoji_indices, held_out_emoji, unlisted_emoji
from demo_training.made_from import code_fingerprint
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.training.fingerprint import fingerprint

#: Pixels per side of emoji and of crops.
EMOJI_SIDE, CROP_SIDE = 256, 512
#: How many frames are kept of emoji that are trained on. Of held-out ones, all frames that stage 1 has are kept.
FRAMES = 8

logger = logging.getLogger(__name__)


def load_large_data(folder: Path, *, held_out: bool = False) -> Data:
    """What is trained on, or what is held out. Packages and what was decoded from them are kept in ``folder``.

    Raises:
        ConfigurationError: if a package cannot be fetched, or is another one than the recipe was made with.
        OutputError: if ``folder`` cannot be written.
    """
    clips, crops = _kept_emoji(folder), _kept_photographs(folder)
    return Data(
        clips,
        crops,
        tuple(emoji_indices(clips, held_out=held_out)),
        tuple(crop_indices(crops, held_out=held_out)),
    )


def large_data_fingerprint() -> str:
    """A digest of the packages and of what is taken from them."""
    return fingerprint(data_fingerprint(), code_fingerprint(Path(__file__)))


def decode_large_clip(content: bytes, max_frames: int) -> np.ndarray | None:
    """The first frames of a WebP file, uint8 ``[F, 256, 256, 4]``, or None for a file that stage 1 leaves out."""
    with Image.open(io.BytesIO(content)) as image:
        count = getattr(image, 'n_frames', 1)
        if count < emoji.MIN_SOURCE_FRAMES:
            return None
        step, now, due = 1000 / emoji.FPS, 0, 0.0
        found: list[np.ndarray] = []
        for number in range(count):
            image.seek(number)
            image.load()
            now += int(image.info['duration'])
            # A frame is seen at all times from its own to that of the next one.
            while due < now and len(found) < max_frames:
                found.append(np.asarray(_square(image.convert('RGBA'))))
                due += step
            if len(found) == max_frames:
                return np.stack(found)
    # An animation of 2.95 seconds has 24 frames at 8 a second, and one of 2.92 seconds has 23.
    return np.stack(found[: round(now * emoji.FPS / 1000)])


def large_crops_of(image: Image.Image) -> Iterator[np.ndarray]:
    """The crops that :func:`~demo_training.emoji_and_photographs.photographs.crops_of` makes, with twice the side."""
    rng = np.random.default_rng(image.size)
    for share, count in photographs.SIZES.items():
        side = share * min(image.size)
        for number in range(count):
            left = (number + rng.uniform()) / count * (image.width - side)
            top = rng.uniform() * (image.height - side)
            small, large = (
                image.resize((width, width), Image.Resampling.BICUBIC, (left, top, left + side, top + side), 3.0)
                for width in (photographs.SIDE, CROP_SIDE)
            )
            if np.asarray(small.convert('L'), dtype=np.float32).std() >= photographs.MIN_CONTRAST:
                yield np.asarray(large)


def _kept_emoji(folder: Path) -> Emoji:
    index, frames = folder / f'emoji-{EMOJI_SIDE}.json', folder / f'emoji-{EMOJI_SIDE}.npy'
    if not index.exists():
        _decode(fetch(EMOJI, folder / 'packages'), index, frames)
    content = json.loads(index.read_text(encoding='utf-8'))
    return Emoji(tuple(content['names']), tuple(content['starts']), np.load(frames, mmap_mode='r'))


def _decode(archives: Iterable[Path], index: Path, frames: Path) -> None:
    unlisted, held_out, clips = unlisted_emoji(), held_out_emoji(), {}
    for name, content in _files(archives):
        if name in unlisted or not is_wanted(name):
            continue
        clip = decode_large_clip(content, emoji.MAX_FRAMES if name in held_out else FRAMES)
        if clip is not None:
            clips[name] = clip
    names = sorted(clips)
    logger.info('decoded %d large emoji', len(names))
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
    """``image``, scaled to fit into a transparent square."""
    scale = EMOJI_SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    square = Image.new('RGBA', (EMOJI_SIDE, EMOJI_SIDE))
    scaled = image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
    square.paste(scaled, ((EMOJI_SIDE - size[0]) // 2, (EMOJI_SIDE - size[1]) // 2))
    return square


def _kept_photographs(folder: Path) -> Photographs:
    index, crops = folder / f'photographs-{CROP_SIDE}.json', folder / f'photographs-{CROP_SIDE}.npy'
    if not index.exists():
        with output_errors(folder), tempfile.TemporaryDirectory(dir=folder) as unpacked:
            for package in fetch(WALLPAPERS, folder / 'packages'):
                unpack_debian(package, Path(unpacked))
            _cut(Path(unpacked), index, crops)
    return Photographs(tuple(json.loads(index.read_text(encoding='utf-8'))), np.load(crops, mmap_mode='r'))


def _cut(unpacked: Path, index: Path, crops: Path) -> None:
    names, found = [], []
    for path, name in chosen_files(unpacked).items():
        with Image.open(path) as image:
            if image.has_transparency_data and image.convert('RGBA').getextrema()[3][0] < 255:  # type: ignore[misc, unused-ignore]  # the type of a band alone
                continue  # what is behind it is not known
            for crop in large_crops_of(image.convert('RGB')):
                names.append(name)
                found.append(crop)
    logger.info('cut %d large crops from %d pictures', len(found), len(set(names)))
    with output_errors(crops), replacing(crops) as draft, draft.open('wb') as file:
        np.save(file, np.stack(found))
    with output_errors(index), replacing(index) as draft:
        draft.write_text(json.dumps(names), encoding='utf-8')
