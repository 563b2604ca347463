"""Every kind of picture has its right pixels."""

import logging

import numpy as np
import pytest

from modelscope_i2v.media import load_image
from tests.field.pictures.cases import CASES, SUMMARIES

#: Rows of docs/formats.md.
DOCUMENTED = [
    (SUMMARIES.get(how, '; '.join(case.title for case in CASES if case.how == how)), how)
    for how in dict.fromkeys(case.how for case in CASES)
]


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.title)
def test_right_pixels(case, caplog):
    with caplog.at_level(logging.WARNING):
        image = load_image(case.make(), case.background)
    assert image.mode == 'RGB'
    found = np.asarray(image).astype(int)
    right = np.broadcast_to(np.asarray(case.right(), float), found.shape)
    assert np.abs(found - right).max() <= case.within
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (1 if case.warning else 0), said
    assert all(case.warning in message for message in said)


def test_titles_are_unique():
    assert len({case.title for case in CASES}) == len(CASES)
