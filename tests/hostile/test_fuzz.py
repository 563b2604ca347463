"""300 cases of every surface, drawn from a seed; ``python -m benchmarks.fuzz`` runs 2000."""

import logging
import re

import pytest

from benchmarks.fuzz.running import HEAD, MAX_MEGABYTES, MAX_SECONDS, run
from benchmarks.fuzz.surfaces import SURFACES
from tests.pages.blocks import ROOT


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('surface', SURFACES)
def test_only_our_errors_soon_and_with_little_memory(tmp_path, monkeypatch, surface):
    monkeypatch.setenv('MODELSCOPE_CACHE', str(tmp_path / 'cache'))  # restored afterwards
    outcome = run(surface, SURFACES[surface](tmp_path), 300, seed=1)
    assert [f'case {number}: {type(error).__name__}: {error}' for number, error in outcome.others] == []
    assert outcome.slowest[0] < MAX_SECONDS, outcome.slowest
    assert outcome.largest[0] < MAX_MEGABYTES, outcome.largest
    assert outcome.accepted + sum(outcome.refused.values()) == 300


def test_the_same_number_is_the_same_case(tmp_path):
    case, level = SURFACES['JSON Lines'](tmp_path), logging.getLogger('modelscope_i2v').level
    first, second = run('JSON Lines', case, 50, seed=3), run('JSON Lines', case, 50, seed=3)
    assert (first.accepted, first.refused) == (second.accepted, second.refused)
    assert 0 < first.accepted < 50
    assert logging.getLogger('modelscope_i2v').level == level


def test_the_table_in_the_documents_has_every_surface():
    text = (ROOT / 'docs' / 'reliability.md').read_text(encoding='utf-8')
    rows = re.findall(
        r'^\| ([\w ]+) \| 2000 \| \d+ \| [^|]*\| (\d+) \|', text.partition(HEAD.split('\n')[0])[2], re.MULTILINE
    )
    assert [name for name, _ in rows] == list(SURFACES)
    assert {others for _, others in rows} == {'0'}
