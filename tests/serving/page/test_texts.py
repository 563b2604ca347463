"""Both languages say everything, with the same values in it."""

import re
from string import Formatter

import pytest

from modelscope_i2v.serving.failures import CODES, failure
from modelscope_i2v.serving.jobs import STOPPED, QueueFullError, UnreadableError
from modelscope_i2v.serving.page.texts import TEXTS, preferred, say
from modelscope_i2v.serving.page.texts.errors import ERRORS, explained


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


def test_every_error_of_the_engine_is_said_in_chinese():
    assert {*(code for _, code in CODES), STOPPED.code} == set(ERRORS['zh'])
    for code, text in ERRORS['zh'].items():
        assert places(text) in ([], ['message']), code
        assert not re.search('[A-Za-z]', text.replace('{message}', '')), code


@pytest.mark.parametrize(
    ('error', 'chinese'),
    [
        (failure(QueueFullError('4 jobs are waiting already.')), '排队的任务已满，请稍后再试。'),
        (STOPPED, '任务完成之前，服务器停止了。请重新提交。'),
        (
            failure(UnreadableError('It is not an image.')),
            '无法读取这个文件，请换一张图片或一段视频。具体原因（英文）：It is not an image.',
        ),
    ],
)
def test_an_error_in_both_languages(error, chinese):
    assert explained('zh', error) == chinese
    assert explained('en', error) == error.message
