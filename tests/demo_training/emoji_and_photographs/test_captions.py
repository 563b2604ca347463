import numpy as np
import pytest

from demo_training.emoji_and_photographs.captions import MOVES, PHRASES, caption, emoji_name
from demo_training.emoji_and_photographs.scenes import DEFAULT_MOVE, draw_scene


@pytest.mark.parametrize(
    ('codepoints', 'name'),
    {
        '1f431': 'cat face',
        '1f329-fe0f': 'cloud with lightning',
        '1f3c4-200d-2640-fe0f': 'surfer female sign',
        '1f468-200d-1f52c': 'man microscope',
        '0031-fe0f-20e3': 'digit one combining enclosing keycap',
    }.items(),
)
def test_emoji_have_their_unicode_names(codepoints, name):
    assert emoji_name(codepoints) == name


def test_a_caption_always_asks_for_its_move_and_often_names_its_subject():
    rng = np.random.default_rng(0)
    for move in MOVES:
        found = {caption('cat face', move, rng) for _ in range(100)}
        words = {move, *PHRASES[move]}
        assert found == words | {f'cat face, {word}' for word in words}


def test_without_a_text_emoji_play_their_own_animation_and_photographs_come_nearer(tiny):
    rng = np.random.default_rng(0)
    scenes = [draw_scene(tiny, rng) for _ in range(400)]
    silent = [scene for scene in scenes if not scene.text]
    assert 0.1 < len(silent) / len(scenes) < 0.3
    assert {(scene.emoji is None, scene.move) for scene in silent} == {(True, DEFAULT_MOVE), (False, 'animated')}
    assert {scene.move for scene in scenes} == set(MOVES)
