"""Write the tables of docs/formats.md from the tests that say what they document.

python -m tests.field.table
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

FORMATS = Path(__file__).parents[2] / 'docs' / 'formats.md'


def documented(folder):
    """What each documented test of ``folder`` says: pairs of a kind of file and what comes of it."""
    pairs = []
    for file in sorted((Path(__file__).parent / folder).glob('test_*.py')):
        module = importlib.import_module(f'tests.field.{folder}.{file.stem}')
        pairs += [value.documented for value in vars(module).values() if hasattr(value, 'documented')]
        pairs += getattr(module, 'DOCUMENTED', [])
    return pairs


def table(folder):
    """A Markdown table with a row for each documented test of ``folder``."""
    rows = (f'| {kind[0].upper()}{kind[1:]} | {outcome} |' for kind, outcome in documented(folder))
    return '\n'.join(['| file | what happens |', '|---|---|', *rows])


def with_tables(text):
    """``text`` with the tables of today between its markers."""
    for folder in ('pictures', 'videos'):
        marked = re.compile(rf'(<!-- {folder} -->\n).*?(<!-- end -->)', re.DOTALL)
        text = marked.sub(lambda found, folder=folder: f'{found[1]}\n{table(folder)}\n\n{found[2]}', text)
    return text


if __name__ == '__main__':
    FORMATS.write_text(with_tables(FORMATS.read_text(encoding='utf-8')), encoding='utf-8')
