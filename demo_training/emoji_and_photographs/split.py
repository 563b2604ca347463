"""Which emoji and which pictures are never trained on. The split is by what is seen, not by clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demo_training.emoji_and_photographs.emoji import Emoji
from demo_training.emoji_and_photographs.photographs import Photographs

_HERE = Path(__file__).parent
#: Of ten pictures in alphabetical order, this one is held out.
HELD_OUT_DIGIT = 3


def held_out_emoji() -> frozenset[str]:
    """Names of the emoji that are never trained on."""
    return _names(_HERE / 'held_out_emoji.txt')


def unlisted_emoji() -> frozenset[str]:
    """Names of emoji in the packages that upstream's own repository does not list. They are not used at all."""
    return _names(_HERE / 'unlisted_emoji.txt')


def held_out_pictures(pictures: Sequence[str]) -> frozenset[str]:
    """Those of ``pictures``, in alphabetical order, that are never trained on."""
    return frozenset(name for index, name in enumerate(pictures) if index % 10 == HELD_OUT_DIGIT)


def emoji_indices(emoji: Emoji, *, held_out: bool) -> list[int]:
    """The emoji that are held out, or those that are trained on."""
    names = held_out_emoji()
    return [index for index, name in enumerate(emoji.names) if (name in names) == held_out]


def crop_indices(photographs: Photographs, *, held_out: bool) -> list[int]:
    """The crops of pictures that are held out, or of those that are trained on."""
    names = held_out_pictures(photographs.pictures)
    return [index for index, name in enumerate(photographs.names) if (name in names) == held_out]


def _names(path: Path) -> frozenset[str]:
    return frozenset(line for line in path.read_text(encoding='utf-8').splitlines() if not line.startswith('#'))
