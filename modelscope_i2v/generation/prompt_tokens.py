"""From a text to CLIP's tokens: 77 of them at most, what exceeds them is cut, and cut words are said."""

from __future__ import annotations

import logging
from typing import Any

import torch

logger = logging.getLogger(__name__)


def build_tokenizer(context_length: int) -> Any:
    """CLIP's tokenizer; its vocabulary comes with open_clip."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=context_length)


def prompt_tokens(tokenizer: Any, text: str, suffix: str = '') -> torch.Tensor:
    """Tokens ``[1, context_length]`` of ``text`` followed by ``suffix``.

    What exceeds the context is cut from the end, so first of all from the suffix, as in the reference. If the user's
    own words are cut, a warning says after which.
    """
    room = tokenizer.context_length - 2  # start and end take a token each
    words = tokenizer.encode(text)
    if len(words) > room:
        kept = tokenizer.decode(words[:room]).strip()
        logger.warning(
            "The text has %d tokens but only %d fit: it is cut after '...%s'. Shorten it.", len(words), room, kept[-60:]
        )
    out: torch.Tensor = tokenizer([text + suffix])
    return out
