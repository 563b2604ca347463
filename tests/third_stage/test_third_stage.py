"""A stage that the package has never heard of goes through all of the shared code, once it is in the list."""

import dataclasses
import json

import pytest
import torch
from modelscope.pipelines import pipeline
from modelscope.trainers import build_trainer

import modelscope_i2v
from modelscope_i2v import stage as stage_module
from modelscope_i2v.cli.main import main
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.networks.build import build_networks
from modelscope_i2v.plugin.registration import register
from modelscope_i2v.weights.save import save_model
from modelscope_i2v.weights.synthetic import synthetic_state_dict
from tests.folders import IMAGE, variant
from tests.small_models import AUTOENCODER, CLIP, UNET
from tests.third_stage import stage
from tests.third_stage.stage import TEXT_TO_VIDEO
from tests.training.tiny import content, write_data

MODEL_CFG = {'max_frames': 3, 'autoencoder': AUTOENCODER, 'clip': CLIP, 'unet': UNET}
LATENTS = {'output_type': 'latent', 'seed': 1}


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    """The one line."""
    monkeypatch.setattr(stage_module, 'STAGES', (*stage_module.STAGES, 'tests.third_stage.stage:TEXT_TO_VIDEO'))
    register()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('third') / 'Text-to-Video'
    networks = build_networks(TEXT_TO_VIDEO.networks, TEXT_TO_VIDEO.configuration.parse(MODEL_CFG, path))
    for network in networks.values():
        shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
        network.load_state_dict(synthetic_state_dict(shapes), assign=True)
    save_model(path, TEXT_TO_VIDEO, networks, MODEL_CFG)
    return path


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp('videos') / 'data')


@pytest.fixture
def loaded(folder):
    return modelscope_i2v.load(folder, device='cpu', show_progress=False)


def test_it_generates(loaded, folder):
    assert type(loaded).__name__ == 'TextToVideoPipeline'
    latents = loaded('a fox', **LATENTS)['output_video']
    assert latents.shape == (1, 4, 3, 4, 4)
    assert torch.equal(loaded('a fox', **LATENTS)['output_video'], latents)
    assert not torch.equal(loaded('a fox', backwards=True, **LATENTS)['output_video'], latents)
    through_modelscope = pipeline('text-to-video', model=str(folder), device='cpu', show_progress=False)
    assert torch.equal(through_modelscope('a fox', **LATENTS)['output_video'], latents)


def test_its_samplers_are_found_in_its_table(loaded):
    found = {solver: loaded('a fox', solver=solver, **LATENTS)['output_video'] for solver in ('euler', 'ddim', 'twice')}
    assert not torch.equal(found['euler'], found['twice'])
    seen = []
    loaded('a fox', solver='twice', callback_on_step_end=lambda *step: seen.append(step[1]), **LATENTS)
    assert seen == [0]
    with pytest.raises(modelscope_i2v.InputError, match="'solver' must be one of 'euler', 'ddim', 'twice'"):
        loaded('a fox', solver='heun')


def test_its_arguments_are_its_own(loaded):
    with pytest.raises(TypeError, match="Unknown argument 'backward'. Did you mean 'backwards'"):
        loaded('a fox', backward=True)
    with pytest.raises(TypeError, match="Unknown argument 'noise_level'"):
        loaded('a fox', noise_level=3)


def test_it_has_a_verb(folder, tmp_path, capsys):
    out = tmp_path / 'fox.mp4'
    options = ['--model', str(folder), '--device', 'cpu', '--seed', '1', '--json', '--no-show-progress']
    assert main(['text-to-video', 'a fox', '-o', str(out), *options]) == 0
    assert json.loads(capsys.readouterr().out) == {'output_video': str(out), 'seed': 1, 'model_revision': None}
    (entry,) = read_recipe(out)
    assert (entry['stage'], entry['solver'], entry['steps']) == ('text-to-video', 'euler', 2)


def test_what_it_needs_can_be_estimated(folder):
    found = modelscope_i2v.estimate(folder, guidance_scale=2)
    assert (found.frames, found.height, found.width, found.passes.whole) == (3, 32, 32, 4)
    assert found.levels[1].operations > 0


def test_it_is_trained_and_its_lora_is_its_own(folder, data, stage_2_folder, tmp_path):
    values = content(folder, data, tmp_path, clips={'num_frames': 2, 'height': 32, 'width': 32, 'fps': 8})
    del values['cpu'], values['data'], values['output']
    trainer = build_trainer(
        'text-to-video-trainer', {**values, 'train_dataset': str(data), 'work_dir': str(tmp_path), 'device': 'cpu'}
    )
    lora = trainer.train()
    plain, changed = (
        modelscope_i2v.load(folder, device='cpu', show_progress=False, lora=file)('a fox', **LATENTS)['output_video']
        for file in (None, lora)
    )
    assert not torch.equal(plain, changed)
    with pytest.raises(modelscope_i2v.CheckpointError, match='is for text-to-video, not for video-to-video'):
        modelscope_i2v.load(stage_2_folder, device='cpu', lora=lora)


def test_two_stages_may_do_the_same_task(folder, stage_1_folder, tmp_path, monkeypatch, capsys):
    """As two generations of one model do: the configuration says which it is."""
    monkeypatch.setattr(stage, 'TEXT_TO_VIDEO', dataclasses.replace(TEXT_TO_VIDEO, task='image-to-video'))
    second = variant(folder, tmp_path / 'second', {'task': 'image-to-video'})
    for path, task in ((stage_1_folder, 'ImageToVideoPipeline'), (second, 'TextToVideoPipeline')):
        loaded = modelscope_i2v.load(path, task='image-to-video', device='cpu', show_progress=False)
        assert type(loaded).__name__ == task
    options = ['-o', str(tmp_path / 'a.mp4'), '--device', 'cpu', '--no-show-progress', '--model']
    assert main(['image-to-video', str(IMAGE), *options, str(second), '--eta', '0.5']) == 1
    assert "Unknown option '--eta' of this model." in capsys.readouterr().err
    assert main(['image-to-video', str(IMAGE), *options, str(stage_1_folder), '--steps', '1', '--num-frames', '1']) == 0


def test_a_stage_without_an_embedded_model_asks_for_one(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(['text-to-video', 'a fox', '-o', str(tmp_path / 'a.mp4')])
    assert 'required: --model' in capsys.readouterr().err
    with pytest.raises(modelscope_i2v.InputError, match='There is no embedded model for text-to-video'):
        modelscope_i2v.embedded_model('text-to-video')
