"""A model's files become small ones that make the same video."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import CheckpointError, ConfigurationError, OutputError
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks.build import build_networks
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from modelscope_i2v.weights import convert
from modelscope_i2v.weights.convert import NOTE, check_new, convert_model
from modelscope_i2v.weights.reader import read_state_dict
from modelscope_i2v.weights.save import save_weights
from tests.folders import IMAGE, variant

CALL = {'steps': 2, 'num_frames': 2, 'seed': 3, 'output_type': 'latent'}
FILES = ['autoencoder.safetensors', 'clip.safetensors', 'unet.safetensors']


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def latents_of(folder):
    return modelscope_i2v.load(folder, device='cpu', show_progress=False)(IMAGE, **CALL)['output_video']


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 0.0), (torch.float16, 0.02), (torch.bfloat16, 0.2)])
def test_the_converted_model_makes_the_same_video(dtype, tolerance, golden_model, tmp_path):
    files = list(convert_model(ModelFolder.read(golden_model), tmp_path / 'small', dtype))
    assert names(tmp_path / 'small') == sorted([*FILES, 'configuration.json'])
    for file in files:
        tensors = read_state_dict(file.path)
        assert {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()} == {dtype}
        assert (file.size, file.source_size) == (file.path.stat().st_size, file.source.stat().st_size)
    expected, found = latents_of(golden_model), latents_of(tmp_path / 'small')
    assert float((expected - found).abs().max()) <= tolerance * float(expected.abs().max())


def test_stage_2_keeps_its_tower_and_its_settings(golden_model_2, tmp_path):
    source = variant(
        golden_model_2,
        tmp_path / 'page',
        {'allow_remote': True, 'plugins': ['x'], 'model.model_args.seed': 5, 'model.model_cfg.noise_level': 321},
    )
    list(convert_model(ModelFolder.read(source), tmp_path / 'small', torch.float16))
    assert all(key.startswith('text.') for key in read_state_dict(tmp_path / 'small' / 'clip.safetensors'))
    content = json.loads((tmp_path / 'small' / 'configuration.json').read_text())
    assert not {'allow_remote', 'plugins'} & content.keys()
    arguments = content['model']['model_args']
    assert (arguments['seed'], arguments['solver_mode'], arguments['ckpt_unet']) == (5, 'normal', 'unet.safetensors')
    assert (
        modelscope_i2v.load(tmp_path / 'small', device='cpu', show_progress=False).model.configuration.noise_level
        == 321
    )


@pytest.mark.parametrize(('stage', 'gigabytes'), [(IMAGE_TO_VIDEO, 4.27), (VIDEO_TO_VIDEO, 3.67), (I2VGEN_XL, 4.95)])
def test_full_size_stages_in_half_precision(stage, gigabytes):
    networks = build_networks(stage.networks, stage.configuration()).values()
    size = sum(tensor.numel() * 2 for network in networks for tensor in network.state_dict().values())
    assert size / 1e9 == pytest.approx(gigabytes, abs=0.005)


def test_what_was_interrupted_goes_on(golden_model, tmp_path):
    output = tmp_path / 'small'
    first = next(convert_model(ModelFolder.read(golden_model), output, torch.float16)).path
    before = first.stat().st_mtime_ns
    assert 'configuration.json' not in names(output)
    with pytest.raises(ConfigurationError):
        modelscope_i2v.load(output, device='cpu')
    list(convert_model(ModelFolder.read(golden_model), output, torch.float16))
    assert first.stat().st_mtime_ns == before
    assert names(output) == sorted([*FILES, 'configuration.json'])


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.weights import convert

written = []
real = convert.save_weights
def save_then_die(network, path):
    if written:
        for name in ('.0123456789abcdef.partial', '.tmpAbC123'):  # ours, and the one of safetensors
            Path(path).with_name(name).write_bytes(b'half')
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    real(network, path)
convert.save_weights = save_then_die
list(convert.convert_model(ModelFolder.read(sys.argv[1]), Path(sys.argv[2]), torch.float16))
"""


def test_a_conversion_that_was_killed_goes_on(golden_model, tmp_path):
    output = tmp_path / 'small'
    done = subprocess.run([sys.executable, '-c', KILLED, golden_model, output], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert {'unet.safetensors', '.0123456789abcdef.partial', '.tmpAbC123'} <= set(names(output))
    list(convert_model(ModelFolder.read(golden_model), output, torch.float16))
    assert names(output) == sorted([*FILES, 'configuration.json'])


def test_one_that_was_killed_at_once_begins_again(golden_model, tmp_path):
    (tmp_path / '.0123456789abcdef.partial').write_bytes(b'half')
    check_new(tmp_path)
    list(convert_model(ModelFolder.read(golden_model), tmp_path, torch.float16))
    assert names(tmp_path) == sorted([*FILES, 'configuration.json'])


def test_a_damaged_part_of_an_interrupted_conversion_is_made_again(golden_model, tmp_path):
    output = tmp_path / 'small'
    first = next(convert_model(ModelFolder.read(golden_model), output, torch.float16)).path
    whole = first.read_bytes()
    damaged = bytearray(whole)
    damaged[-3] ^= 64
    first.write_bytes(damaged)
    list(convert_model(ModelFolder.read(golden_model), output, torch.float16))
    assert first.read_bytes() == whole


def test_what_a_disk_keeps_wrong_is_noticed(golden_model, monkeypatch, tmp_path):
    """One bit of one key is wrong."""

    def save_badly(network, path):
        save_weights(network, path)
        content = bytearray(path.read_bytes())
        content[-3] ^= 64
        path.write_bytes(content)

    monkeypatch.setattr(convert, 'save_weights', save_badly)
    with pytest.raises(CheckpointError, match='is not as it was written'):
        list(convert_model(ModelFolder.read(golden_model), tmp_path / 'small', torch.float16))
    assert 'configuration.json' not in names(tmp_path / 'small')


def test_nothing_is_overwritten(golden_model, tmp_path):
    output = tmp_path / 'small'
    next(convert_model(ModelFolder.read(golden_model), output, torch.float16))
    with pytest.raises(
        OutputError, match='already contains another, unfinished conversion, and nothing is overwritten'
    ):
        next(convert_model(ModelFolder.read(golden_model), output, torch.bfloat16))
    list(convert_model(ModelFolder.read(golden_model), output, torch.float16))
    with pytest.raises(OutputError, match='already contains files, and nothing is overwritten. Choose a new folder'):
        next(convert_model(ModelFolder.read(golden_model), output, torch.float16))
    assert NOTE not in names(output)


def test_weights_too_large_for_the_precision_are_not_written(golden_model, tmp_path):
    source = variant(golden_model, tmp_path / 'large')
    weights = torch.load(source / 'unet.pth', weights_only=True)
    weights['state_dict']['out.2.bias'][0] = 1e6
    (source / 'unet.pth').unlink()
    torch.save(weights, source / 'unet.pth')
    with pytest.raises(CheckpointError, match="'conv_out.bias' is not finite as torch.float16"):
        list(convert_model(ModelFolder.read(source), tmp_path / 'small', torch.float16))
    assert 'unet.safetensors' not in names(tmp_path / 'small')
    list(convert_model(ModelFolder.read(source), tmp_path / 'other', torch.bfloat16))


def test_a_missing_file_is_named_before_anything_is_written(golden_model, tmp_path):
    source = variant(golden_model, tmp_path / 'part')
    (source / 'unet.pth').unlink()
    with pytest.raises(CheckpointError, match='unet.pth does not exist'):
        list(convert_model(ModelFolder.read(source), tmp_path / 'small', torch.float16))
    assert not (tmp_path / 'small').exists()


def test_the_command_says_what_it_saved(golden_model, tmp_path, capsys):
    assert main(['convert', str(golden_model), '-o', str(tmp_path / 'small')]) == 0
    *files, total = capsys.readouterr().out.splitlines()
    assert [line.split(':')[0] for line in files] == ['unet.safetensors', 'clip.safetensors', 'autoencoder.safetensors']
    assert all('verified' in line for line in files)
    assert total.startswith(f'{tmp_path / "small"}: ')
    assert total.endswith('% saved')
    assert main(['convert', str(golden_model), '-o', str(tmp_path / 'json'), '--dtype', 'fp32', '--json']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['size'] == sum(os.path.getsize(tmp_path / 'json' / name) for name in FILES)  # noqa: PTH202
    assert main(['convert', str(golden_model), '-o', str(tmp_path / 'small')]) == 1
    assert 'nothing is overwritten' in capsys.readouterr().err
