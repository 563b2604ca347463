"""Everything that the recipe learns from, fetched and decoded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo_training.emoji_and_photographs import emoji, photographs, split
from demo_training.emoji_and_photographs.emoji import Emoji, decoded_emoji
from demo_training.emoji_and_photographs.packages import EMOJI, WALLPAPERS, fetch
from demo_training.emoji_and_photographs.photographs import Photographs, cut_photographs
from demo_training.emoji_and_photographs.split import crop_indices, emoji_indices, unlisted_emoji
from demo_training.made_from import code_fingerprint
from modelscope_i2v.training.fingerprint import fingerprint


@dataclass(frozen=True)
class Data:
    """Emoji and photographs, and which of them may be used."""

    emoji: Emoji
    photographs: Photographs
    emoji_indices: tuple[int, ...]
    crop_indices: tuple[int, ...]


def load_data(folder: Path, *, held_out: bool = False) -> Data:
    """What is trained on, or what is held out. Packages and what was decoded from them are kept in ``folder``.

    Raises:
        ConfigurationError: if a package cannot be fetched, or is another one than the recipe was made with.
        OutputError: if ``folder`` cannot be written.
    """
    archives = folder / 'packages'
    clips = decoded_emoji(lambda: fetch(EMOJI, archives), folder, unlisted_emoji())
    crops = cut_photographs(lambda: fetch(WALLPAPERS, archives), folder)
    return Data(
        clips,
        crops,
        tuple(emoji_indices(clips, held_out=held_out)),
        tuple(crop_indices(crops, held_out=held_out)),
    )


def data_fingerprint() -> str:
    """A digest of the packages and of what is taken from them."""
    sources = [Path(module.__file__ or '') for module in (emoji, photographs, split)]
    names = [path.read_text(encoding='utf-8') for path in sorted(Path(__file__).parent.glob('*_emoji.txt'))]
    return fingerprint(code_fingerprint(*sources), names, [package.sha256 for package in (*EMOJI, *WALLPAPERS)])
