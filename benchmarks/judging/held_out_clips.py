"""The clips that judge the embedded second generation: of emoji and pictures that it has never seen.

Where they are fetched from and how they move is in ``demo_training/emoji_and_photographs``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.judging.camera import DIRECTIONS, camera_move
from demo_training.emoji_and_photographs.data import Data, load_data
from demo_training.emoji_and_photographs.moves import ANIMATED
from demo_training.emoji_and_photographs.photographs import MIN_CONTRAST, Photographs, crops_of
from demo_training.emoji_and_photographs.scenes import DEFAULT_MOVE, Scene, draw_scene
from demo_training.emoji_and_photographs.world import emoji_mask, render

#: Emoji and photographs among the clips.
EMOJI, PHOTOGRAPHS = 40, 24
#: Pictures for each text.
PICTURES = 16
#: How often a picture is drawn at most, until something or a move can be seen in it.
DRAWS = 20
#: Photographs of scikit-image that are held out, beside the cat of the examples, which is its `chelsea`. Many
#: wallpapers are drawn patterns.
NAMED = ('astronaut', 'coffee', 'rocket')
CAT = Path(__file__).parents[2] / 'examples' / 'cat.jpg'
#: Texts that move an emoji over a still background.
SPRITE_TEXTS = ('spin', 'bounce')


@dataclass(frozen=True)
class HeldOutClip:
    """A clip that is known: the picture, what is asked for, and what then is seen.

    Attributes:
        frames: uint8 ``[16, 128, 128, 3]``; the first one is the picture.
        text: what is asked for; empty asks for nothing.
        is_emoji: whether it shows an emoji.
        mask: where the emoji is in the picture, bool ``[128, 128]``.
        subject: which emoji or, without one, which photograph.
    """

    frames: np.ndarray
    text: str
    is_emoji: bool
    mask: np.ndarray
    subject: str


def load_judged_data(folder: Path) -> Data:
    """What is held out: emoji and wallpapers from the recipe's ``folder``, three photographs of scikit-image, a cat."""
    import skimage

    data = load_data(folder, held_out=True)
    pictures = {name: Image.fromarray(getattr(skimage.data, name)()) for name in NAMED}
    with Image.open(CAT) as image:
        pictures[CAT.stem] = image.convert('RGB')
    named = [(name, crop) for name, picture in pictures.items() for crop in crops_of(picture)]
    names = (*data.photographs.names, *(name for name, _ in named))
    crops = np.concatenate([data.photographs.crops, np.stack([crop for _, crop in named])])
    indices = (*data.crop_indices, *range(len(data.photographs), len(names)))
    return dataclasses.replace(data, photographs=Photographs(names, crops), crop_indices=indices)


def default_clips(data: Data, emoji: int = EMOJI, photographs: int = PHOTOGRAPHS) -> Iterator[HeldOutClip]:
    """Clips without a text: emoji that hop and play their own animation, and photographs that come nearer.

    Args:
        data: what is held out.
    """
    for scene in default_scenes(data, emoji, photographs):
        yield _clip(data, scene, '')


def default_scenes(data: Data, emoji: int = EMOJI, photographs: int = PHOTOGRAPHS) -> Iterator[Scene]:
    """What :func:`default_clips` show: photographs take turns, and a part that shows nothing is drawn again."""
    for number in range(emoji):
        yield draw_scene(data, np.random.default_rng((7, number)), ANIMATED, emoji=True)
    turns = sorted({data.photographs.names[index] for index in data.crop_indices})
    for number in range(emoji, emoji + photographs):
        name = turns[(number - emoji) % len(turns)]
        crops = tuple(index for index in data.crop_indices if data.photographs.names[index] == name)
        own = dataclasses.replace(data, crop_indices=crops)
        for again in range(DRAWS):
            scene = draw_scene(own, np.random.default_rng((7, number, again)), DEFAULT_MOVE, emoji=False)
            if _shows_something(own, scene):
                break
        yield scene


def text_clips(data: Data, text: str, pictures: int = PICTURES) -> Iterator[HeldOutClip]:
    """Clips that obey ``text``: half of photographs and half of emoji, or all of emoji if the text moves those.

    The pictures are the same for all texts that move the camera, as far as the moves leave room. Along smooth colours
    nothing can be seen of such a move: a picture is drawn again until its real clip is seen to obey.
    """
    for number in range(pictures):
        is_emoji = text in SPRITE_TEXTS or number % 2 == 0
        for again in range(DRAWS):
            scene = draw_scene(data, np.random.default_rng((8, number, again)), text, emoji=is_emoji)
            clip = _clip(data, scene, text)
            seen = text not in DIRECTIONS or camera_move(clip.frames).obeys(text)
            if text in SPRITE_TEXTS or (scene.crop is not None and seen):
                break
        yield clip


def opposite(text: str) -> str:
    """The text that asks for the reverse move of the camera."""
    part, sign = DIRECTIONS[text]
    return next(other for other, move in DIRECTIONS.items() if move == (part, -sign))


def _clip(data: Data, scene: Scene, text: str) -> HeldOutClip:
    frames, mask = render(data, scene).frames, emoji_mask(data, scene)
    return HeldOutClip(frames, text, scene.emoji is not None, mask, _subject(data, scene))


def _shows_something(data: Data, scene: Scene) -> bool:
    """Whether the first frame has contrast. A part of a wallpaper may be plain, or its sky black."""
    frame = Image.fromarray(render(data, scene, num_frames=1).frames[0])
    return bool(np.asarray(frame.convert('L'), dtype=np.float32).std() >= MIN_CONTRAST)


def _subject(data: Data, scene: Scene) -> str:
    if scene.emoji is not None:
        return data.emoji.names[scene.emoji[0]]
    return '' if scene.crop is None else data.photographs.names[scene.crop[0]]
