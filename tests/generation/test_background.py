"""``background``: what shows through transparent pictures and videos, from a call to the recipe."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.info import read_recipe
from tests.calls import VIDEO, build, build_2
from tests.golden import DATA

PICTURE = DATA / 'images' / 'rgba_300x257.png'
FAST = {'steps': 1, 'num_frames': 2, 'seed': 1, 'height': 32, 'width': 32}


def dropped():
    """As the original implementation reads it."""
    return Image.open(PICTURE).convert('RGB')


def over(colour):
    opaque = Image.new('RGBA', (300, 257), colour)
    opaque.alpha_composite(Image.open(PICTURE))
    return opaque.convert('RGB')


def frames(result):
    found = result[VIDEO]
    return found if isinstance(found, np.ndarray) else np.asarray(found)


@pytest.mark.parametrize(
    ('given', 'seen'),
    [
        ({}, lambda: over('white')),
        ({'background': 'white'}, lambda: over('white')),
        ({'background': (0, 0, 255)}, lambda: over('blue')),
        ({'background': None}, dropped),
        ({'background': 'none'}, dropped),
    ],
)
def test_stage_1_sees_the_background(stage_1, given, seen):
    one, other = (
        stage_1.preprocess(picture, stage_1.resolve_arguments(call))['pixel_values']
        for picture, call in ((PICTURE, given), (seen(), {}))
    )
    assert (one - other).abs().max() < 0.02  # one level: both round
    if seen is dropped:
        assert torch.equal(one, other)


def test_the_default_of_a_pipeline_and_of_a_call(stage_1_folder):
    pipe = build(stage_1_folder, background=None)
    assert pipe.resolve_arguments({}).background is None
    assert pipe.resolve_arguments({'background': 'red'}).background == 'red'
    assert pipe.recipe(pipe.resolve_arguments({}))['background'] is None
    pipe = build(stage_1_folder, background='navy')
    assert pipe.resolve_arguments({'background': None}).background is None
    assert pipe.recipe(pipe.resolve_arguments({'background': [1, 2, 3]}))['background'] == (1, 2, 3)


@pytest.mark.parametrize(('background', 'right', 'within'), [(None, dropped, 0), ('white', lambda: over('white'), 1)])
def test_stage_2_sees_the_background(stage_2, background, right, within):
    prepared = stage_2.preprocess([Image.open(PICTURE)] * 2, stage_2.resolve_arguments({'background': background}))
    found = next(prepared['video'].source.frames()).pixels.astype(int)
    assert np.abs(found - np.asarray(right())).max() <= within


@pytest.mark.parametrize('how', ['call', 'pipeline'])
def test_a_chain_hands_it_on(stage_1_folder, stage_2_folder, tmp_path, how):
    default = {'background': None} if how == 'pipeline' else {}
    given = {'background': None} if how == 'call' else {}
    first, second = build(stage_1_folder, **default), build_2(stage_2_folder, **default)
    made = [
        modelscope_i2v.chain(picture, stage1=first, stage2=second, output_video=tmp_path / 'a.mp4', **call, **FAST)
        for picture, call in ((PICTURE, given), (dropped(), given))
    ]
    one, other = (frames(result['stage1']) for result in made)
    np.testing.assert_array_equal(one, other)
    assert [entry['background'] for entry in read_recipe(tmp_path / 'a.mp4')] == [None, None]


@pytest.mark.parametrize(
    ('option', 'kept'), [([], 'white'), (['--background', 'none'], None), (['--background', '#00f'], '#00f')]
)
def test_the_command_line(tmp_path, option, kept):
    common = ['--num-frames', '2', '--steps', '1', '--seed', '1', '--device', 'cpu', '--no-show-progress', *option]
    assert main(['image-to-video', str(PICTURE), '-o', str(tmp_path / 'a.mp4'), *common]) == 0
    assert [entry['background'] for entry in read_recipe(tmp_path / 'a.mp4')] == [kept]
    seen = {'white': over('white'), None: dropped(), '#00f': over('blue')}[kept]
    seen.save(tmp_path / 'seen.png')
    assert main(['image-to-video', str(tmp_path / 'seen.png'), '-o', str(tmp_path / 'b.mp4'), *common]) == 0
    pair = [_decoded(tmp_path / name) for name in ('a.mp4', 'b.mp4')]
    assert np.abs(pair[0] - pair[1]).mean() < 1


def test_the_chain_on_the_command_line(tmp_path):
    words = ['--num-frames', '2', '--steps', '1', '--height', '32', '--stage1-height', '32', '--stage1-width', '32']
    words += ['--device', 'cpu', '--no-show-progress', '--background', 'none']
    assert main(['chain', str(PICTURE), '-o', str(tmp_path / 'a.mp4'), *words]) == 0
    assert [entry['background'] for entry in read_recipe(tmp_path / 'a.mp4')] == [None, None]


def test_a_bad_colour_is_refused_before_anything_is_loaded(tmp_path):
    assert main(['image-to-video', str(PICTURE), '-o', str(tmp_path / 'a.mp4'), '--background', 'whitish']) == 1
    with pytest.raises(InputError, match="'background' must be a colour name"):
        modelscope_i2v.chain(PICTURE, background='whitish')


def test_the_preprocessors_show_it(stage_1, stage_2):
    for pipe in (stage_1, stage_2):
        assert inspect.signature(type(pipe.preprocessor).__call__).parameters['background'].default == 'white'


def _decoded(path):
    from modelscope_i2v.media import open_video

    return np.stack([frame.pixels for frame in open_video(path).frames()]).astype(int)
