"""The recipe of a video: how it was made, as JSON in the file's comment tag."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import InputError
from modelscope_i2v.files import parse_json

if TYPE_CHECKING:
    from av.container import InputContainer

RECIPE_VERSION = 1


def dump_recipe(entries: Sequence[Mapping[str, Any]]) -> str:
    """The JSON text of a recipe: a list with one object per stage.

    Every entry without a ``version`` gets ``RECIPE_VERSION``. NumPy and torch values become numbers and lists, paths
    become strings. The text is ASCII (other characters are escaped), which every container stores unchanged.

    Raises:
        InputError: an entry is not a mapping, or holds NaN, infinity or a value that JSON cannot represent.
    """
    if isinstance(entries, (str, bytes, Mapping)) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError(f'A recipe must be a list of dicts, one per stage, found {entries!r:.200}. Wrap it in a list.')
    versioned = [{'version': RECIPE_VERSION, **entry} for entry in entries]
    try:
        return json.dumps(versioned, default=_plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f'The recipe cannot be written as JSON: {error}. Use finite numbers, strings, booleans, None, lists and '
            f'dicts with string keys.'
        ) from error


def recipe_in(container: InputContainer) -> list[dict[str, Any]]:
    """The recipe of an opened video, one dict per stage. Empty without a comment, or if another program wrote it.

    A recipe that :func:`dump_recipe` could not write again, for example because of NaN, is none of ours.
    """
    comment = container.metadata.get('comment', '')
    try:
        entries = parse_json(comment)
    except ValueError:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and 'version' in entry for entry in entries):
        return []
    try:
        dump_recipe(entries)  # 1e999 is valid JSON, but infinite
    except InputError:
        return []
    return entries


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    # Handles NumPy and torch without importing either: a scalar becomes a number, an array becomes nested lists.
    if callable(to_list := getattr(value, 'tolist', None)):
        return to_list()
    raise TypeError(f'{value!r:.80} is a {type(value).__name__}')
