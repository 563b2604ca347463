"""Names that no file system can look up: too long, with NUL, or with characters that cannot be encoded."""

import json
from contextlib import suppress

import numpy as np
import pytest

import modelscope_i2v
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError, ModelScopeI2VError, OutputError
from modelscope_i2v.media import load_image, open_video, write_video
from modelscope_i2v.training.configuration import read_training_configuration
from modelscope_i2v.training.data.sources import find_examples
from modelscope_i2v.weights import load_weights
from modelscope_i2v.weights.lora.file import read_lora_file
from modelscope_i2v.weights.reader import read_state_dict
from tests.folders import variant

NAMES = {'long': 'x' * 300, 'NUL': 'a\0b', 'surrogate': '\ud800', 'deep': 'a/' * 3000, 'long suffix': 'a.' + 'x' * 300}
IMPOSSIBLE = pytest.mark.parametrize('name', NAMES.values(), ids=NAMES)
PICTURE = np.zeros((8, 8, 3), np.uint8)


@IMPOSSIBLE
def test_inputs(name):
    for read in (load_image, open_video, find_examples):
        with pytest.raises(InputError):
            read(name)
    with pytest.raises(ConfigurationError):
        read_training_configuration(name)
    for read in (read_state_dict, read_lora_file):
        with pytest.raises(CheckpointError):
            read(name)


@IMPOSSIBLE
def test_models(name):
    for model, revision in ((name, None), (f'owner/{name}', None), ('owner/name', name)):
        with pytest.raises(ModelScopeI2VError):
            modelscope_i2v.load(model, revision, offline=True)


@IMPOSSIBLE
def test_outputs(stage_1, tmp_path, name):
    with pytest.raises(OutputError):
        write_video([PICTURE], name, fps=8)
    for outputs in (name, [name], [name, name]):
        given = PICTURE if isinstance(outputs, str) else [PICTURE] * len(outputs)
        with pytest.raises(OutputError):
            stage_1(given, output_video=outputs)
    with pytest.raises(OutputError):
        modelscope_i2v.chain(PICTURE, output_video=name)


@IMPOSSIBLE
@pytest.mark.parametrize('key', ['ckpt_unet', 'ckpt_clip', 'ckpt_autoencoder'])
def test_names_in_a_configuration(stage_1_folder, tmp_path, name, key):
    folder = variant(stage_1_folder, tmp_path / 'model', {f'model.model_args.{key}': name})
    with pytest.raises(CheckpointError):
        modelscope_i2v.load(folder, device='cpu', show_progress=False)


@IMPOSSIBLE
def test_names_in_the_cache(stage_1_folder, tmp_path, monkeypatch, name):
    monkeypatch.setenv('MODELSCOPE_CACHE', str(tmp_path))
    place = tmp_path / 'models' / 'owner--name' / 'snapshots' / 'v1'
    variant(stage_1_folder, place, {'model.model_args.ckpt_unet': name})
    with pytest.raises(ConfigurationError, match='which cannot be a file'):
        modelscope_i2v.load('owner/name', 'v1', offline=True, device='cpu')


@IMPOSSIBLE
@pytest.mark.parametrize('key', ['model', 'data', 'output', 'cache'])
def test_names_in_training_files(tmp_path, name, key):
    file = tmp_path / 'train.json'
    (tmp_path / 'data').mkdir()
    file.write_text(json.dumps({'model': 'm', 'data': 'data', 'output': 'out', key: name}))
    with suppress(ConfigurationError):  # the name may also be found wrong later
        read_training_configuration(file)
    line = tmp_path / 'list.jsonl'
    line.write_text(json.dumps({'video': name}))
    with pytest.raises((InputError, ConfigurationError)):
        find_examples(line)


@IMPOSSIBLE
def test_weights_and_lora_of_a_call(stage_1, stage_1_folder, name):
    with pytest.raises(CheckpointError):
        load_weights(stage_1.model.unet, name)
    with pytest.raises(CheckpointError):
        modelscope_i2v.load(stage_1_folder, device='cpu', lora=name)
