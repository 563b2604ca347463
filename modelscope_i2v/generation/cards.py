"""What to use on cards of common sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from modelscope_i2v.generation.levels import SHARE_OF_TOTAL
from modelscope_i2v.generation.memory_check import CallInRoom, in_gib
from modelscope_i2v.generation.video_size import VideoSize

#: Memory of common cards, in GB of 2^30 bytes.
CARDS = (6, 8, 12, 16, 24, 80)
#: More than any device has.
MOST_MEMORY = 10_000


@dataclass(frozen=True)
class Card:
    """A call on a card, of whose memory a tenth is left to the driver, as ``memory='auto'`` does.

    Attributes:
        memory: of the card, in GB of 2^30 bytes.
        level: the memory level that needs least time among those at which the call fits; None: it fits at none.
        device: bytes on the device at that level, at the lowest one if it fits at none.
        instead: what fits if the call does not, as arguments in words; None: nothing, or it fits.
    """

    memory: float
    level: str | None
    device: int
    instead: str | None = None


def card_for(call: CallInRoom, size: VideoSize, memory: float) -> Card:
    """What a ``call`` for a video of ``size`` gets on a card of ``memory`` GB; its limit is that of the card."""
    limited = call.limited(f'{memory * SHARE_OF_TOTAL:.3f}GB')
    level, device = limited.level(size).name, limited.estimate(size).on(call.execution.device)
    if limited.fits(size):
        return Card(memory, level, device)
    options = limited.less(size)
    return Card(memory, None, device, f'memory={level!r} with {", or ".join(options)}' if options else None)


def advice(cards: Sequence[Card]) -> str:
    """Sentences that say what to use on ``cards``, which are in the order of their memory."""
    sentences = []
    for (_, said), group in groupby(cards, key=lambda card: (card.level, card.instead)):
        same = list(group)
        sizes = ' or '.join(f'{card.memory:g}' for card in same)
        place = f'On a card of {sizes} GB'
        level = same[0].level
        if level is None:
            sentences.append(f'{place} use {said}.' if said else f'{place} not even the smallest video fits.')
        else:
            more = ' or more' if same[-1] is cards[-1] and len(same) > 1 else ''
            place = f'On a card of {same[0].memory:g} GB or more' if more else place
            sentences.append(f"{place} use memory='{level}', which takes {in_gib(same[0].device)}.")
    return ' '.join(sentences)
