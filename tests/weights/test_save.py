import json

import pytest
import torch
from torch import nn

from modelscope_i2v import load
from modelscope_i2v.errors import OutputError
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.weights import load_weights
from modelscope_i2v.weights.save import save_model, save_weights


def parts(pipeline):
    model = pipeline.model
    return {'ckpt_unet': model.unet, 'ckpt_clip': model.clip, 'ckpt_autoencoder': model.autoencoder}


def test_what_is_saved_is_what_is_loaded(stage_1, stage_1_folder, tmp_path):
    model_cfg = json.loads((stage_1_folder / 'configuration.json').read_text())['model']['model_cfg']
    save_model(tmp_path, IMAGE_TO_VIDEO, parts(stage_1), model_cfg, model_args={'seed': 5}, dtype=None)
    again = load(tmp_path, device='cpu', show_progress=False)
    assert again.model.configuration == stage_1.model.configuration
    assert again.model.model_args.seed == 5
    for one, other in zip(parts(stage_1).values(), parts(again).values(), strict=True):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


def test_what_a_killed_writer_left_goes_and_all_else_stays(tmp_path):
    for name in ('.0123456789abcdef.partial', '.tmpAbC123', '.mine', 'notes.txt'):
        (tmp_path / name).write_text('')
    save_model(tmp_path, IMAGE_TO_VIDEO, {'ckpt_unet': nn.Linear(2, 2)}, {})
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {'configuration.json', 'unet.safetensors', '.mine', 'notes.txt'}


def test_floating_point_is_cast_and_counters_are_not(tmp_path):
    norm = nn.BatchNorm1d(3)
    norm.weight.data += torch.tensor([0.1, 0.2, 0.3])
    norm.num_batches_tracked += 70_001  # more than float16 can count
    save_weights(norm, tmp_path / 'norm.safetensors', torch.float16)
    found = load_weights(nn.BatchNorm1d(3), tmp_path / 'norm.safetensors')
    assert found.num_batches_tracked == 70_001
    assert torch.equal(found.weight.data, norm.weight.data.half().float())


def test_others_may_read_the_file_as_any_other(tmp_path):
    save_weights(nn.Linear(2, 2), tmp_path / 'weights.safetensors')
    (tmp_path / 'text').write_text('')
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes['weights.safetensors'] == modes['text']


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / 'weights.safetensors'
    save_weights(nn.Linear(2, 2), target)
    before = target.read_bytes()
    target.chmod(0o444)
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError):
        save_weights(nn.Linear(2, 2), tmp_path / 'file' / 'weights.safetensors')
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'weights.safetensors']
