"""Files and folders that the documents name exist."""

import re

import pytest

from tests.pages.blocks import ROOT

DOCUMENTS = [*sorted(ROOT.glob('*.md')), *sorted(ROOT.glob('docs/*.md')), *sorted(ROOT.glob('model_card/**/README.md'))]
NAMED = re.compile(r'`((?:modelscope_i2v|demo_training|tests|benchmarks|docs|examples|model_card|\.ci)/[\w./-]*)`')
LINKED = re.compile(r'\]\((?!https?://|#|mailto:)([^)#]+)')


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document):
    text = document.read_text(encoding='utf-8')
    missing = [name for name in NAMED.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINKED.findall(text) if not (document.parent / link).exists()]
    assert missing == []


def test_the_guide_has_the_arguments_of_today():
    from tests.argument_tables import GUIDE, with_tables

    text = GUIDE.read_text(encoding='utf-8')
    assert text == with_tables(text), 'run python -m tests.argument_tables'
    assert text.count('| `steps` |') == 2


def test_troubleshooting_quotes_messages_that_exist():
    """``...`` stands for values. Messages of ModelScope and of other packages are marked as such by their text."""
    from tests.messages import messages

    ours = [re.sub(r'\{\.\.\.\}|%[sdg]', '...', text) for _, text in messages()]
    text = (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')
    rows = [line for line in text.split('## Loading a model')[1].splitlines() if line.startswith('| `')]
    quoted = [
        message
        for row in rows
        if "ModelScope's own" not in row
        for message in re.findall(r'`([^`]+)`', row.split(' | ')[0])
    ]
    assert len(quoted) > 20
    assert [
        message for message in quoted if not any(message.removesuffix('...').strip() in known for known in ours)
    ] == []


def test_every_document_is_in_the_navigation():
    pages = re.findall(r'"([\w-]+\.md)"', (ROOT / 'zensical.toml').read_text(encoding='utf-8'))
    assert sorted(pages) == sorted(path.name for path in ROOT.glob('docs/*.md'))


def test_contributing_answers_ten_questions():
    table = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8').split('## How the code')[0]
    assert len(re.findall(r'^\| (?:Where|What) .*\? \| `modelscope_i2v/', table, re.MULTILINE)) == 10
