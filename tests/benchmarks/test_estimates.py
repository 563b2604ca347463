"""The tables of estimates are those of today."""

import pytest

from benchmarks import estimates
from benchmarks.performance import PAGES, with_table

PERFORMANCE, README = PAGES


@pytest.mark.parametrize(
    ('page', 'name', 'rows'),
    [
        (PERFORMANCE, 'cards', estimates.cards),
        (PERFORMANCE, 'levels', estimates.levels),
        (README, 'cards-in-short', estimates.cards_in_short),
        (PERFORMANCE, 'fp8-levels', estimates.fp8_levels),
        pytest.param(PERFORMANCE, 'operations', estimates.operations, marks=pytest.mark.slow),
    ],
)
def test_tables(page, name, rows):
    text = page.read_text(encoding='utf-8')
    assert f'<!-- {name} -->' in text
    assert text == with_table(text, name, rows()), f'run python -m benchmarks.performance --write {name}'
