"""Output to the terminal: results go to standard output, everything else to standard error.

What is printed may come from a file or from a name that somebody else chose. So characters that a terminal would obey,
and those that cannot be encoded, are printed as escapes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from modelscope_i2v.errors import OutputError

#: Invisible, but parts of words and of emoji.
_JOINERS = '\u200c\u200d'


def say(line: str) -> None:
    """Write one line to standard output.

    Raises:
        OutputError: if it is closed or full. BrokenPipeError: if nobody reads it any more.
    """
    write_output(f'{printable(line)}\n')


def say_json(value: Any) -> None:
    """Write ``value`` to standard output as one line of JSON, for scripts. Errors as :func:`say`."""
    text = json.dumps(value, ensure_ascii=False)
    if _encoded(text, sys.stdout) != text:
        text = json.dumps(value)
    # Escapes of JSON, not of Python.
    escaped = (letter if _is_shown(letter) else json.dumps(letter)[1:-1] for letter in text)
    write_output(f'{"".join(escaped)}\n')


def complain(line: str) -> None:
    """Write one line to standard error. If that is closed or full, there is nothing more to say."""
    write_error(f'modelscope-i2v: {printable(line)}\n')


def write_error(text: str) -> None:
    """Write ``text``, which is printable, to standard error, if that is possible."""
    try:
        sys.stderr.write(_encoded(text, sys.stderr))
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        _give_up(sys.stderr)


def write_output(text: str) -> None:
    """Write ``text``, which is printable, to standard output. Errors as :func:`say`."""
    if sys.stdout is None:
        raise OutputError('Cannot write the result: standard output is closed. Send it to a terminal or a file.')
    try:
        sys.stdout.write(_encoded(text, sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)
        raise
    except (OSError, ValueError) as error:
        _give_up(sys.stdout)
        reason = getattr(error, 'strerror', None) or error
        raise OutputError(f'Cannot write the result to standard output: {reason}. Send it elsewhere.') from error


def printable(text: str) -> str:
    r"""``text`` with escapes for control characters, ``\n`` among them, and for parts that are not valid text."""
    return ''.join(letter if _is_shown(letter) else _escape(letter) for letter in text)


def flush_output() -> bool:
    """Write what is still in memory. Returns False, without a word at exit, if standard output is closed or full."""
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        _give_up(sys.stdout)
        return False
    return True


@contextmanager
def printable_messages() -> Iterator[None]:
    """Inside the ``with`` block, log messages are :func:`printable`, wherever the program shows them."""
    shown_by = [handler for handler in (*logging.getLogger().handlers, logging.lastResort) if handler is not None]
    for handler in shown_by:
        handler.addFilter(make_printable)
    try:
        yield
    finally:
        for handler in shown_by:
            handler.removeFilter(make_printable)


def make_printable(record: logging.LogRecord) -> bool:
    """A filter of a log handler that lets everything through, with escapes where :func:`printable` has them."""
    record.msg, record.args = printable(record.getMessage()), ()
    return True


def _give_up(stream: TextIO | None) -> None:
    """Drop what is still in memory: Python would try to write it again at exit, and fail again, with a traceback."""
    with suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def _encoded(text: str, stream: TextIO) -> str:
    """``text`` with escapes for what the encoding of ``stream`` lacks."""
    encoding = getattr(stream, 'encoding', None) or 'utf-8'
    return text.encode(encoding, 'backslashreplace').decode(encoding)


def _is_shown(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter in _JOINERS or not (category.startswith('C') or category in ('Zl', 'Zp'))


def _escape(letter: str) -> str:
    if '\udc80' <= letter <= '\udcff':  # how Python represents a byte of a name that is not UTF-8
        return f'\\x{ord(letter) - 0xDC00:02x}'
    return letter.encode('unicode_escape').decode('ascii')
