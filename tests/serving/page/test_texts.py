"""Both languages say everything, with the same values in it."""

import re
from string import Formatter

import pytest

from modelscope_i2v.serving.page.texts import TEXTS, preferred, say


def places(text):
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name)


def test_both_languages_have_the_same_texts():
    assert list(TEXTS['en']) == list(TEXTS['zh'])
    different = [key for key, text in TEXTS['en'].items() if places(text) != places(TEXTS['zh'][key])]
    assert different == []


def test_chinese_is_chinese():
    same = [key for key, text in TEXTS['zh'].items() if not re.search(r'[\u4e00-\u9fff]', text)]
    assert same == ['text_example', 'recipe_python']


@pytest.mark.parametrize(
    ('header', 'language'),
    [('zh-CN,zh;q=0.9,en;q=0.8', 'zh'), ('de-DE,de;q=0.9,en', 'en'), ('fr', 'en'), ('', 'en'), (None, 'en')],
)
def test_the_language_of_the_browser(header, language):
    assert preferred(header) == language


def test_values_are_filled_in():
    assert say('en', 'step_of', step=3, steps=20) == 'step 3 of 20'
    assert say('zh', 'step_of', step=3, steps=20) == '第 3 步，共 20 步'
