"""The command and the Python of a recipe make the same video again."""

import shlex

import pytest

from modelscope_i2v.cli.main import main
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.serving.models import Catalogue, embedded_models
from modelscope_i2v.serving.page.recipes import command_line, python
from tests.folders import IMAGE

OPTIONS = ['--seed', '5', '--steps', '2', '--num-frames', '2', '--guidance-scale', '2']


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp('made') / 'video.mp4'
    assert main(['image-to-video', str(IMAGE), '-o', str(path), '--device', 'cpu', *OPTIONS]) == 0
    return path


@pytest.mark.slow
def test_the_command_makes_the_same_video(made, tmp_path, monkeypatch):
    words = shlex.split(command_line(read_recipe(made), Catalogue(embedded_models())))
    assert words[:5] == ['modelscope-i2v', 'image-to-video', 'photo.jpg', '-o', 'video.mp4']
    # The size followed from the picture.
    assert sorted(words[5::2]) == sorted([*OPTIONS[::2], '--height', '--width'])
    monkeypatch.chdir(tmp_path)
    assert main([words[1], str(IMAGE), *words[3:], '--device', 'cpu']) == 0
    assert read_recipe(tmp_path / 'video.mp4') == read_recipe(made)


@pytest.mark.slow
def test_the_python_makes_the_same_video(made, tmp_path, monkeypatch):
    source = python(read_recipe(made), Catalogue(embedded_models()))
    monkeypatch.chdir(tmp_path)
    exec(compile(source.replace('photo.jpg', str(IMAGE)), 'recipe', 'exec'), {})
    again = read_recipe(tmp_path / 'video.mp4')
    assert {**again[0], 'dtype': ''} == {**read_recipe(made)[0], 'dtype': ''}


def test_two_stages_are_two_commands():
    first = {'stage': 'image-to-video', 'model': 'damo/Image-to-Video', 'revision': 'v1.1.0', 'seed': 1, 'steps': 30}
    second = {'stage': 'video-to-video', 'model': 'x/y', 'revision': None, 'seed': 2, 'text': 'a "red" fox'}
    lines = command_line([first, second], Catalogue(embedded_models())).splitlines()
    assert lines == [
        'modelscope-i2v image-to-video photo.jpg -o video-1.mp4 --model damo/Image-to-Video --model-revision v1.1.0 '
        '--seed 1 --steps 30',
        'modelscope-i2v video-to-video video-1.mp4 -o video-2.mp4 --model x/y --seed 2 --text \'a "red" fox\'',
    ]
    assert "pipe('video-1.mp4', output_video='video-2.mp4', seed=2, text='a \"red\" fox')" in python(
        [first, second], Catalogue(embedded_models())
    )


def test_a_video_of_ones_own_is_the_input():
    recipe = [{'stage': 'video-to-video', 'model': 'x/y', 'revision': None, 'seed': 2, 'text': 'a fox'}]
    catalogue = Catalogue(embedded_models())
    assert command_line(recipe, catalogue) == (
        "modelscope-i2v video-to-video video.mp4 -o larger.mp4 --model x/y --seed 2 --text 'a fox'"
    )
    assert "pipe('video.mp4', output_video='larger.mp4', seed=2, text='a fox')" in python(recipe, catalogue)
