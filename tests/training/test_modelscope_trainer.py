"""``build_trainer`` finds our trainers by name, and they accept the arguments of ModelScope's trainers."""

import json
import logging
from pathlib import Path

import pytest
from modelscope.pipelines import pipeline
from modelscope.trainers import build_trainer
from modelscope.trainers.base import BaseTrainer
from torch.utils.data import Dataset

import modelscope_i2v
from modelscope_i2v.errors import ConfigurationError, DeviceError, InputError
from modelscope_i2v.training.lora import LoraSettings
from tests.folders import IMAGE
from tests.training.tiny import content, losses


def arguments(model, data, work_dir, **changes):
    values = content(model, data, work_dir, **changes)
    del values['cpu'], values['data'], values['output']
    return {**values, 'train_dataset': data, 'work_dir': str(work_dir), 'device': 'cpu'}


class Videos(Dataset):
    def __init__(self, folder):
        self.paths = sorted(Path(folder).glob('*.mp4'))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return {'video': self.paths[index], 'text': 'a red square, moving', 'image': None}


def test_from_build_trainer_to_a_pipeline_with_the_lora(model, data, tmp_path):
    trainer = build_trainer('image-to-video-trainer', arguments(model, data, tmp_path, trust_remote_code=False))
    assert isinstance(trainer, BaseTrainer)
    assert type(trainer).__module__ == 'modelscope_i2v.image_to_video.trainer'
    path = trainer.train()
    assert path == str(tmp_path / 'lora.safetensors')
    made = pipeline('image-to-video', model=str(model), device='cpu', lora=path, show_progress=False)
    call = {'steps': 1, 'num_frames': 2, 'seed': 1, 'output_type': 'latent'}
    plain = pipeline('image-to-video', model=str(model), device='cpu', show_progress=False)
    difference = (made(str(IMAGE), **call)['output_video'] - plain(str(IMAGE), **call)['output_video']).abs().max()
    assert 1e-4 < difference < 10


def test_a_dataset_in_memory_trains_as_its_files_do(model_2, data, tmp_path):
    one = build_trainer('video-to-video-trainer', arguments(model_2, Videos(data), tmp_path / 'one'))
    two = build_trainer('video-to-video-trainer', arguments(model_2, str(data), tmp_path / 'two'))
    assert Path(one.train()).parent == tmp_path / 'one'
    two.train()
    assert losses(tmp_path / 'one') == losses(tmp_path / 'two')


def test_evaluation_is_of_the_result_and_before_there_is_one_of_the_model(model, data, tmp_path):
    changes = {'loop': {'learning_rate': 3e-2}, 'validation': {'count': 1, 'steps': 1}}
    trainer = build_trainer('image-to-video-trainer', arguments(model, data, tmp_path, **changes))
    before = trainer.evaluate()
    path = trainer.train()
    after = trainer.evaluate()
    assert after != before
    assert trainer.evaluate(path) == after
    with pytest.raises(InputError, match='nothing to evaluate'):
        trainer.evaluate(tmp_path / 'none')
    with pytest.raises(InputError, match="resumes from the newest checkpoint in 'work_dir' by itself"):
        trainer.train(checkpoint_path=path)


def test_settings_may_be_dicts_or_objects(model, data, tmp_path):
    values = arguments(model, data, tmp_path)
    one = build_trainer('image-to-video-trainer', {**values, 'lora': {'rank': 3}})
    two = build_trainer('image-to-video-trainer', {**values, 'lora': LoraSettings(rank=3)})
    assert one.configuration == two.configuration
    assert build_trainer('image-to-video-trainer', {**values, 'lora': None}).configuration.lora is None


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'trian_dataset': 'x'}, TypeError, "Unknown argument 'trian_dataset'.*Did you mean 'train_dataset'"),
        ({'data': 'x'}, TypeError, 'given twice'),
        ({'train_dataset': 7}, InputError, 'a folder, a JSON Lines file, or a dataset.*found a int'),
        ({'train_dataset': [{'video': [1, 2]}]}, InputError, "Item 0 .*'video': 'list'.*a folder, a JSON Lines"),
        ({'train_dataset': [(1, 2)]}, InputError, 'Item 0 of the training data is tuple'),
        ({'train_dataset': [{'text': 'x'}]}, InputError, 'Item 0'),
        ({'train_dataset': [{'video': 'a.mp4', 'start': object()}]}, InputError, 'Item 0.*cannot be written'),
        ({'device': 'tpu'}, DeviceError, 'Unknown device'),
        ({'clips': {'hight': 3}}, ConfigurationError, "'hight'.*Did you mean 'height'"),
        ({'train_dataset': None}, ConfigurationError, "lacks the required 'data'"),
    ],
)
def test_what_cannot_be_used_is_named(changes, error, message, model, data, tmp_path):
    with pytest.raises(error, match=message):
        build_trainer('image-to-video-trainer', {**arguments(model, data, tmp_path), **changes})


def test_the_other_stages_model_is_refused(model_2, data, tmp_path):
    with pytest.raises(ConfigurationError, match="'task'.*must be 'image-to-video', found 'video-to-video'"):
        build_trainer('image-to-video-trainer', arguments(model_2, data, tmp_path))


def test_the_command_line_trains_too(model, data, tmp_path, capsys):
    from modelscope_i2v.cli.main import main

    (tmp_path / 'train.json').write_text(json.dumps(content(model, data, 'out')))
    assert main(['train', str(tmp_path / 'train.json'), '--json']) == 0
    assert logging.getLogger('modelscope_i2v.training').handlers == []
    shown = capsys.readouterr()
    path = tmp_path / 'out' / 'lora.safetensors'
    assert json.loads(shown.out) == {'result': str(path)}
    assert 'step 4: loss' in shown.err
    made = modelscope_i2v.load(model, device='cpu', lora=path, show_progress=False)
    assert made.model.lora == 'lora.safetensors'
    (tmp_path / 'train.json').write_text(json.dumps({**content(model, data, 'out'), 'modle': 1}))
    assert main(['train', str(tmp_path / 'train.json')]) == 1
    assert "Unknown key 'modle'" in capsys.readouterr().err
