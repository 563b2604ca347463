"""Words that we do not use: what reads like a translation, and documents that are not in the repository."""

import re
import subprocess

import pytest

from tests.messages import messages
from tests.pages.blocks import ROOT

#: What we found in our own texts -> what we say instead.
HOUSE_LIST = {
    r'what you get is an? ': 'raises, returns',
    r'\ba training that\b': 'a resumed training',
    r'\b(?:could|can) ?(?:not )?be had\b': 'could not be fetched',
    r'times how much': 'LoRA strength',
    r'another time of change': 'a different modification time',
    r'is given up\b': 'fails',
    r'\bGB of files a stage': 'GB per stage',
    r'\bshared out\b': 'sharded',
    r'(?-i:\bFACTS\b)': 'no documents that are not in the repository',
    r'\bthe contract\b': 'no documents that are not in the repository',
    r'\bgoes on where\b': 'resumes',
    r'so far as\b': 'as far as',
}
FILES = subprocess.run(
    ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '*.md', '*.py'],
    capture_output=True, text=True, cwd=ROOT, check=True,
).stdout.split()  # fmt: skip


@pytest.mark.parametrize('words', HOUSE_LIST)
def test_house_list(words):
    found = [
        f'{name}: {match[0]!r}'
        for name in FILES
        if name != 'tests/test_words.py'
        for text in [(ROOT / name).read_text(encoding='utf-8').replace('#', ' ')]
        for match in [re.search(words, ' '.join(text.split()), re.IGNORECASE)]
        if match
    ]
    assert found == [], f'say instead: {HOUSE_LIST[words]}'


def test_messages_end_as_sentences_do():
    listed = list(messages())
    assert len(listed) > 300
    for place, text in listed:
        assert '  ' not in text, place
        assert not text.endswith((',', ' and', ' or')), f'{place}: {text}'
