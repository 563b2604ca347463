"""What a clip shows and how it moves, in words as a user may write them."""

from __future__ import annotations

import unicodedata

import numpy as np

from demo_training.emoji_and_photographs.moves import ANIMATED, CAMERA, SPRITE

#: Codepoints that join or style others and have no meaning of their own.
JOINERS = frozenset({0x200D, 0xFE0E, 0xFE0F})
#: Other words for a move than its name.
PHRASES: dict[str, tuple[str, ...]] = {
    'still': ('nothing moves', 'a still picture'),
    ANIMATED: ('moving', 'an animation'),
    'bounce': ('bouncing', 'it bounces'),
    'spin': ('spinning', 'it spins'),
    **{f'zoom {direction}': (f'zooming {direction}', f'the camera zooms {direction}') for direction in ('in', 'out')},
    **{
        f'pan {direction}': (f'panning {direction}', f'the camera pans {direction}')
        for direction in ('left', 'right', 'up', 'down')
    },
    **{
        f'rotate {direction}': (f'rotating {direction}', f'the camera rotates {direction}')
        for direction in ('left', 'right')
    },
    **{
        f'drift {direction}': (f'drifting {direction}', f'it drifts {direction}')
        for direction in ('left', 'right', 'up', 'down')
    },
}
#: All moves that a text can ask for.
MOVES = (*CAMERA, *SPRITE, ANIMATED)
#: How often a move is called by its name, and a clip's subject is named.
BY_NAME, WITH_SUBJECT = 0.6, 0.5


def emoji_name(name: str) -> str:
    """The Unicode name of an emoji, given its codepoints.

    >>> emoji_name('1f431')
    'cat face'
    >>> emoji_name('1f468-200d-1f373')
    'man cooking'
    """
    codepoints = [int(codepoint, 16) for codepoint in name.split('-')]
    names = (unicodedata.name(chr(codepoint), '') for codepoint in codepoints if codepoint not in JOINERS)
    return ' '.join(names).strip().lower()


def caption(subject: str, move: str, rng: np.random.Generator) -> str:
    """A text that asks for ``move``, and may name the subject: 'cat face, zoom in'."""
    words = move if rng.uniform() < BY_NAME else str(rng.choice(PHRASES[move]))
    return f'{subject}, {words}' if rng.uniform() < WITH_SUBJECT else words
