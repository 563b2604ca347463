"""The second generation as the first stage of a chain, and at the terminal."""

import json

import pytest
import torch

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.embedded import embedded_model
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from tests.folders import IMAGE, variant

FAST = {'steps': 2, 'num_frames': 3, 'seed': 1, 'device': 'cpu', 'show_progress': False}
SIZE = {'height': 32, 'width': 32}


@pytest.fixture
def chain(i2vgen_folder, stage_2_folder):
    def run(**arguments):
        models = {'stage1': str(i2vgen_folder), 'stage2': str(stage_2_folder)}
        return modelscope_i2v.chain(IMAGE, **{**models, **FAST, **SIZE, **arguments})

    return run


def test_both_recipes_have_the_text(chain, tmp_path):
    result = chain(text='a fox', output_video=tmp_path / 'a.mp4', keep_stage1=tmp_path / 'low.mp4')
    first, second = read_recipe(result['output_video'])
    assert read_recipe(result['stage1']['output_video']) == [first]
    assert [entry['text'] for entry in (first, second)] == ['a fox', 'a fox']
    assert [entry['stage'] for entry in (first, second)] == ['image-to-video', 'video-to-video']
    assert (first['model'], first['height'], first['width'], first['num_frames']) == ('I2VGen-XL', 64, 64, 3)
    assert (probe_video(tmp_path / 'low.mp4').fps, probe_video(tmp_path / 'a.mp4').fps) == (8, 8)


def test_texts_reach_both_stages(chain, i2vgen):
    low = {}
    for text in ('a fox', 'a dog'):
        low[text] = torch.from_numpy(chain(text=text)['stage1']['output_video'])
        alone = i2vgen(IMAGE, text=text, seed=1, output_type='np')['output_video']
        assert torch.equal(low[text], torch.from_numpy(alone))
    assert not torch.equal(*low.values())
    plain = chain()['stage1']['output_video']
    for name in ('negative_prompt', 'stage1_negative_prompt'):
        assert (chain(**{name: 'a fox'})['stage1']['output_video'] != plain).any()
    assert (chain(stage2_negative_prompt='a fox')['stage1']['output_video'] == plain).all()


def test_a_loaded_pipeline_is_taken_too(chain, i2vgen):
    loaded = chain(stage1=i2vgen, text='a fox', **dict.fromkeys(('device', 'num_frames')))
    assert (loaded['stage1']['output_video'] == chain(text='a fox')['stage1']['output_video']).all()


def test_what_it_does_not_take_is_said_before_loading(chain, tmp_path):
    with pytest.raises(TypeError, match="Unknown argument 'stage1_noise_level'"):
        chain(stage1_noise_level=3)
    with pytest.raises(modelscope_i2v.InputError, match="'height' must be a multiple of 16, found 40"):
        chain(stage1_height=40)


def test_the_verb_takes_the_options_of_both_generations(i2vgen_folder, stage_1_folder, tmp_path, capsys):
    out = tmp_path / 'fox.mp4'
    command = ['image-to-video', str(IMAGE), '-o', str(out), '--device', 'cpu', '--no-show-progress', '--steps', '1']
    text = ['--text', 'a fox', '--negative-prompt', 'a dog', '--num-frames', '2', '--seed', '1']
    assert main([*command, *text, '--model', str(i2vgen_folder), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['seed'] == 1
    (entry,) = read_recipe(out)
    assert (entry['text'], entry['negative_prompt'], entry['height'], entry['width']) == ('a fox', 'a dog', 64, 64)
    assert main(['info', str(out)]) == 0
    assert 'a fox' in capsys.readouterr().out
    assert main([*command, *text, '--model', str(stage_1_folder)]) == 1
    assert "This model takes no text. Models of type 'video-to-video-model' and 'i2vgen-xl" in capsys.readouterr().err
    assert main([*command, '--model', str(i2vgen_folder), '--noise-strength', '-1']) == 1
    assert "'noise_strength' must be a number of at least 0" in capsys.readouterr().err


def test_the_chain_verb_runs_it(i2vgen_folder, stage_2_folder, tmp_path, capsys):
    out, models = tmp_path / 'sharp.mp4', ['--model', str(i2vgen_folder), '--stage2-model', str(stage_2_folder)]
    small = ['--height', '32', '--width', '32', '--num-frames', '2', '--steps', '1', '--no-show-progress']
    assert main(['chain', str(IMAGE), '-o', str(out), *models, *small, '--device', 'cpu', '--text', 'a fox']) == 0
    assert [entry['text'] for entry in read_recipe(out)] == ['a fox', 'a fox']


def test_the_chain_verb_has_the_options_of_this_generation(i2vgen_folder, stage_1_folder, tmp_path, capsys):
    out, models = tmp_path / 'sharp.mp4', ['--model', str(i2vgen_folder)]
    small = ['--height', '32', '--width', '32', '--num-frames', '2', '--steps', '1', '--no-show-progress']
    command = ['chain', str(IMAGE), '-o', str(out), '--device', 'cpu', *small, '--stage1-negative-prompt', 'a dog']
    second = ['--stage2-negative-prompt', 'a cat', '--stage2-model', str(embedded_model('video-to-video'))]
    assert main([*command, *models, *second]) == 0
    assert [entry['negative_prompt'] for entry in read_recipe(out)] == ['a dog', 'a cat']
    capsys.readouterr()
    assert main([*command, '--model', str(stage_1_folder), *second]) == 1
    said = capsys.readouterr().err
    assert "Unknown option '--stage1-negative-prompt' of this model. The model of that stage takes no text." in said
    assert said.count('\n') == 1
    assert 'Known:' not in said


def test_a_folder_of_stage_2_is_no_first_stage(stage_2_folder, chain, tmp_path):
    with pytest.raises(modelscope_i2v.ConfigurationError, match='is a model for video-to-video; image-to-video needs'):
        chain(stage1=str(stage_2_folder))
    broken = variant(stage_2_folder, tmp_path / 'broken', text='{')
    with pytest.raises(modelscope_i2v.ConfigurationError, match='is not valid JSON'):
        chain(stage1=str(broken))
