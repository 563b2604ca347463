"""Where training examples come from: a folder of videos and pictures, or a JSON Lines file that lists them."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelscope_i2v.checks import choice, number, text
from modelscope_i2v.errors import ConfigurationError, InputError, nearest, shown
from modelscope_i2v.files import exists

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.webm', '.mkv', '.avi', '.gif')
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp', '.tif', '.tiff')
KINDS = ('video', 'image')
_KEYS = (*KINDS, 'text', 'start', 'end')


@dataclass(frozen=True)
class Example:
    """One file to learn from.

    Attributes:
        path: the path of the file.
        kind: ``'video'`` or ``'image'``.
        text: a description of the content; may be empty.
        start, end: the part of a video to use, in seconds from its first frame; ``end`` None is the end of the video.

    Raises:
        ConfigurationError: for an impossible value. It names the attribute, what was found and what is allowed.
    """

    path: Path
    kind: str
    text: str = ''
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        choice('kind', self.kind, KINDS)
        text('text', self.text)
        start = number('start', self.start, 0, math.inf)
        if self.end is not None and number('end', self.end, 0, math.inf, open_low=True) <= start:
            raise ConfigurationError(f"'end' must be after 'start' ({start:g} s), found {self.end:g} s.")
        if self.kind == 'image' and (start or self.end is not None):
            raise ConfigurationError("'start' and 'end' are for videos; an image has none. Leave them out.")


def find_examples(source: str | os.PathLike[str]) -> list[Example]:
    """The examples in a folder or in a JSON Lines file, in an order that depends only on their names or lines.

    A folder is searched with its subfolders (links to folders are not followed) for the suffixes of
    :data:`VIDEO_SUFFIXES` and :data:`IMAGE_SUFFIXES`; hidden files and folders are skipped. The text of
    ``NAME.mp4`` is read from ``NAME.txt`` beside it.

    A JSON Lines file has one object per line: ``{"video": "a.mp4", "text": "a fox", "start": 2, "end": 7.5}`` or
    ``{"image": "b.png"}``. Paths are relative to the file. All keys except ``video`` or ``image`` are optional.

    Raises:
        InputError: if there is no such folder or file, if it contains no training data, or if a listed file is missing.
        ConfigurationError: if a line is malformed. It names the file and line, what was found and what is allowed.
    """
    path = Path(source)
    if exists(path) and path.is_dir():
        return _in_folder(path)
    if not exists(path) or not path.is_file():
        raise InputError(
            f"There is no training data at '{path}'. Give a folder of videos and pictures, or a JSON Lines file."
        )
    if path.suffix.lower() in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES):
        raise InputError(f"Training data cannot be the single file '{path}'. Give the folder it is in.")
    return _listed(path)


def _in_folder(folder: Path) -> list[Example]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]  # os.walk then skips the others
        found += [Path(parent, name) for name in names if not name.startswith('.')]
    examples = []
    for path in sorted(found, key=lambda path: path.relative_to(folder).as_posix()):
        kind = _kind_of(path)
        if kind is not None:
            caption = path.with_suffix('.txt')
            examples.append(Example(path, kind, _read(caption).strip() if caption.is_file() else ''))
    if not examples:
        raise InputError(
            f"The folder '{folder}' and its subfolders hold no training data among {len(found)} files. Give videos "
            f'({", ".join(VIDEO_SUFFIXES)}) or pictures ({", ".join(IMAGE_SUFFIXES)}).'
        )
    return examples


def _kind_of(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return 'video'
    return 'image' if suffix in IMAGE_SUFFIXES else None


def _listed(file: Path) -> list[Example]:
    # Not splitlines: it also splits at separators that JSON allows inside strings.
    lines = enumerate(_read(file).split('\n'), start=1)
    examples = [_parse(line, file, number) for number, line in lines if line.strip()]
    if not examples:
        raise InputError(f"'{file}' lists no training data: it is empty. Write one JSON object per line.")
    return examples


def _parse(line: str, file: Path, line_number: int) -> Example:
    place = f"'{file}', line {line_number}"
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f'{place} is not valid JSON: {error}. Write one JSON object per line.') from error
    if not isinstance(entry, dict):
        raise ConfigurationError(f'{place} must be a JSON object, found a {type(entry).__name__}.')
    unknown = next((key for key in entry if key not in _KEYS), None)
    if unknown is not None:
        allowed = ', '.join(map(repr, _KEYS))
        raise ConfigurationError(
            f'{place} has the unknown key {shown(unknown)}. Allowed are {allowed}.{nearest(unknown, _KEYS)}'
        )
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        found = 'both' if kinds else 'neither'
        raise ConfigurationError(f"{place} must have either 'video' or 'image', found {found}.")
    example = _example(entry, kinds[0], file, place)
    if not exists(example.path) or not example.path.is_file():
        raise InputError(f"{place}: the {kinds[0]} '{example.path}' does not exist. Paths are relative to the list.")
    return example


def _example(entry: dict[str, Any], kind: str, file: Path, place: str) -> Example:
    try:
        name = text(kind, entry[kind])
        if not name or '\0' in name:
            raise ConfigurationError(f"'{kind}' must be the path of a file, found {shown(name)}.")
        more = {key: value for key, value in entry.items() if key not in KINDS}
        return Example(file.parent / name, kind, **more)
    except ConfigurationError as error:
        raise ConfigurationError(f'{place}: {error}') from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text: {error.reason} at byte {error.start}. Convert it.") from error
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}. Check its permissions.") from error
