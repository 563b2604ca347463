"""The tables of docs/formats.md say what the tests show."""

from tests.field.table import FORMATS, documented, with_tables


def test_the_document_is_up_to_date():
    text = FORMATS.read_text(encoding='utf-8')
    assert text == with_tables(text), 'run `python -m tests.field.table`'


def test_every_kind_is_said_once():
    kinds = [kind for folder in ('pictures', 'videos') for kind, _ in documented(folder)]
    assert len(kinds) == len(set(kinds)) > 40
