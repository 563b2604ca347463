"""Named pipes, devices and sockets never end, or never begin: only regular files are read."""

import os
import socket

import pytest

import modelscope_i2v
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError, ModelScopeI2VError
from modelscope_i2v.hub.verified import RECORD, changed_since_verified, has_record
from modelscope_i2v.media import load_image, open_video
from modelscope_i2v.model_folder import read_configuration
from modelscope_i2v.training.configuration import read_training_configuration
from modelscope_i2v.training.data.latent_cache import LatentCache
from modelscope_i2v.training.data.sources import find_examples
from modelscope_i2v.training.loop.checkpoint import _read_newest
from modelscope_i2v.weights.lora.file import read_lora_file
from modelscope_i2v.weights.pickle.reader import read_pickle
from modelscope_i2v.weights.reader import read_state_dict
from tests.folders import variant


def make(kind, path):
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    elif kind == 'folder':
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    return path


@pytest.fixture(params=['pipe', 'device', 'socket', 'folder'])
def special(request, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    return lambda name: make(request.param, type(tmp_path)(name))


READERS = {
    'weights.pth': (read_state_dict, CheckpointError),
    'weights.safetensors': (read_state_dict, CheckpointError),
    'pickle.pth': (read_pickle, CheckpointError),
    'lora.safetensors': (read_lora_file, CheckpointError),
    'train.json': (read_training_configuration, ConfigurationError),
    'list.jsonl': (find_examples, InputError),
    'picture.png': (load_image, InputError),
    'video.mp4': (open_video, InputError),
}


@pytest.mark.parametrize('name', READERS)
def test_readers(special, name):
    read, error = READERS[name]
    with pytest.raises(error):
        read(special(name))


def test_a_configuration(special):
    special('configuration.json')
    with pytest.raises(ConfigurationError, match='cannot be read: it is a'):
        read_configuration('.')


@pytest.mark.parametrize('key', ['ckpt_unet', 'ckpt_clip', 'ckpt_autoencoder'])
def test_weights_of_a_model(special, stage_1_folder, tmp_path, key):
    special('special')
    folder = variant(stage_1_folder, tmp_path / 'model', {f'model.model_args.{key}': str(tmp_path / 'special')})
    with pytest.raises(CheckpointError, match='special'):
        modelscope_i2v.load(folder, device='cpu', show_progress=False)


def test_a_cache(special, tmp_path):
    special(RECORD)
    special('weights.pth')
    assert not has_record(tmp_path)
    assert changed_since_verified(tmp_path, ['weights.pth']) == ['weights.pth']


def test_what_a_training_reads(special, tmp_path):
    special('checkpoint-000000007.pt')
    with pytest.raises(CheckpointError, match='No checkpoint'):
        _read_newest(tmp_path)
    cache = LatentCache(tmp_path, 'f')
    cache.path('ab' * 32).parent.mkdir()
    special(str(cache.path('ab' * 32).relative_to(tmp_path)))
    with pytest.raises(ModelScopeI2VError):
        cache.get('ab' * 32)
