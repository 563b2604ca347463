"""Files and folders that the documents name are there."""

import re

import pytest

from tests.pages.blocks import ROOT

DOCUMENTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(ROOT.glob('model_card/**/README.md'))]
NAMED = re.compile(r'`((?:modelscope_i2v|demo_training|tests|benchmarks|docs|examples|model_card|\.ci)/[\w./-]*)`')
LINKED = re.compile(r'\]\((?!https?://|#|mailto:)([^)#]+)')


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document):
    text = document.read_text(encoding='utf-8')
    missing = [name for name in NAMED.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINKED.findall(text) if not (document.parent / link).exists()]
    assert missing == []


def test_contributing_answers_ten_questions():
    table = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8').split('## How the code')[0]
    assert len(re.findall(r'^\| (?:Where|What) .*\? \| `modelscope_i2v/', table, re.MULTILINE)) == 10
