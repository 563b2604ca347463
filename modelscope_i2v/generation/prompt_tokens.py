"""From text to CLIP's tokens: at most 77 of them. Longer texts are cut, with a warning."""

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

    Tokens beyond the context are cut from the end, so the suffix is cut first, as in the original implementation. If
    the user's own words are cut, a warning says where.
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
