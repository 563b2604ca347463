import json
import logging

import pytest

from modelscope_i2v.generation.prompt_tokens import build_tokenizer, prompt_tokens
from modelscope_i2v.video_to_video.prompts import NEGATIVE_PROMPT, POSITIVE_PROMPT
from tests.golden import DATA, golden


@pytest.fixture(scope='module')
def tokenizer():
    return build_tokenizer(77)


def test_default_prompts_and_their_tokens_are_the_references(tokenizer):
    expected = json.loads((DATA / 'stage2_prompts.json').read_text())
    assert expected['positive_prompt'] == POSITIVE_PROMPT
    assert expected['negative_prompt'] == NEGATIVE_PROMPT
    assert prompt_tokens(tokenizer, '', POSITIVE_PROMPT)[0].tolist() == expected['positive_tokens']
    assert prompt_tokens(tokenizer, NEGATIVE_PROMPT)[0].tolist() == expected['negative_tokens']


def test_long_prompts_are_cut_as_the_reference_cuts_them(tokenizer):
    tokens = golden('clip')['tokens']
    assert prompt_tokens(tokenizer, 'a cat')[0].tolist() == tokens[0].tolist()
    text = 'A photo of two  dogs running,   on the Beach at 5pm!'
    assert prompt_tokens(tokenizer, text, POSITIVE_PROMPT)[0].tolist() == tokens[2].tolist()
    assert prompt_tokens(tokenizer, 'very long prompt ' * 60)[0].tolist() == tokens[4].tolist()


def test_cutting_the_suffix_is_silent_cutting_the_users_words_is_not(tokenizer, caplog):
    with caplog.at_level(logging.WARNING):
        prompt_tokens(tokenizer, 'one two three ' * 25, POSITIVE_PROMPT)
        assert caplog.records == []
        prompt_tokens(tokenizer, 'one two three ' * 25 + 'four', POSITIVE_PROMPT)
    assert len(caplog.records) == 1
    assert '76 tokens' in caplog.text
    assert "one two three'" in caplog.text
