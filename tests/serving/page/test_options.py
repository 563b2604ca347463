"""The page offers what a model takes, and sends what differs from its defaults."""

import pytest

from modelscope_i2v.serving.limits import Limits
from modelscope_i2v.serving.models import ServedModel
from modelscope_i2v.serving.page.options import changed, default, options_of, properties


@pytest.fixture(scope='module')
def second(i2vgen_folder):
    return ServedModel.find(str(i2vgen_folder))


def names(step, model):
    return [option.name for option in options_of(step, [model])]


def test_each_model_has_its_own_options(models, second):
    first, larger = models
    assert 'image_strength' in names(1, first)
    assert 'negative_prompt' not in names(1, first)
    assert 'negative_prompt' in names(1, second)
    assert 'noise_level' in names(2, larger)
    assert 'num_frames' not in names(2, larger)


def test_an_option_of_another_model_is_hidden(models, second):
    for option in options_of(1, [models[0], second]):
        shown = {model.name: properties(option, model, Limits())['visible'] for model in (models[0], second)}
        if option.name == 'negative_prompt':
            assert list(shown.values()) == [False, True]
        if option.name == 'steps':
            assert list(shown.values()) == [True, True]


def test_only_what_was_changed_is_sent(models):
    first = models[0]
    defaults = {option.name: default(first, option.name) for option in options_of(1, [first])}
    assert changed(first, defaults) == {}
    assert changed(first, {**defaults, 'steps': 7, 'negative_prompt': 'blur'}) == {'steps': 7}


def test_no_slider_exceeds_the_limits(models):
    option = next(option for option in options_of(1, models[:1]) if option.name == 'steps')
    assert properties(option, models[0], Limits(steps=30))['maximum'] == 30
