"""Several processes started by torch's launcher give the same training as one, with whole or sharded weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.training.loop.log import read_log
from modelscope_i2v.training.trainer import train
from tests.training.tiny import configuration, losses, write_data, write_model

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / 'one_process.py'
#: The version of FSDP; 0 for none.
DATA_PARALLEL, SHARDED = 0, 2


def launch(fsdp, *paths, fails=False, **changes):
    """Train in two processes; returns their stderr."""
    # `accelerate launch --cpu` always starts a single process (more would need MPI).
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', str(SCRIPT)]
    done = subprocess.run(
        [*command, *map(str, paths), json.dumps(changes), str(fsdp)],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2]), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    """A model and data."""
    folder = tmp_path_factory.mktemp('processes')
    return write_model(IMAGE_TO_VIDEO, folder / 'Image-to-Video'), write_data(folder / 'data')


@pytest.mark.parametrize('fsdp', [DATA_PARALLEL, SHARDED])
def test_two_processes_go_on_as_if_they_had_not_stopped(fsdp, paths, tmp_path):
    launch(fsdp, *paths, tmp_path / 'whole', loop={'steps': 4})
    launch(fsdp, *paths, tmp_path / 'parts', loop={'steps': 2})
    launch(fsdp, *paths, tmp_path / 'parts', loop={'steps': 4})
    assert losses(tmp_path / 'parts') == losses(tmp_path / 'whole')
    whole, parts = (load_file(tmp_path / name / 'lora.safetensors') for name in ('whole', 'parts'))
    assert all(torch.equal(tensor, parts[key]) for key, tensor in whole.items())


def test_two_processes_train_as_one_that_accumulates(paths, tmp_path):
    """Both ways average the gradients of two batches."""
    launch(DATA_PARALLEL, *paths, tmp_path / 'two')
    path = train(configuration(*paths, tmp_path / 'one', loop={'gradient_accumulation': 2}))
    two = load_file(tmp_path / 'two' / 'lora.safetensors')
    assert losses(tmp_path / 'two') == pytest.approx(losses(tmp_path / 'one'), rel=1e-4)
    assert_alike(load_file(path), two)
    assert any(tensor.abs().max() > 1e-3 for key, tensor in two.items() if key.endswith('B.weight'))
    names = sorted(file.name for file in (tmp_path / 'two' / 'training').glob('checkpoint-*'))
    assert names == ['checkpoint-000000004.pt']
    assert len(losses(tmp_path / 'two')) == 4


def test_sharded_weights_train_as_whole_ones(paths, tmp_path):
    """All weights, gradient clipping, moving averages, and the validation in which all processes take part."""
    changes = {'lora': None, 'loop': {'max_grad_norm': 0.1}, 'validation': {'count': 1, 'steps': 2}}
    outputs = tmp_path / 'whole', tmp_path / 'sharded'
    for fsdp, output in zip((DATA_PARALLEL, SHARDED), outputs, strict=True):
        launch(fsdp, *paths, output, **changes)
    whole, sharded = (read_log(output / 'training') for output in outputs)
    assert len(whole) == len(sharded) == 5
    for one, other in zip(whole, sharded, strict=True):
        assert set(one) == set(other)
        assert {**other, 'seconds': 0} == pytest.approx({**one, 'seconds': 0}, rel=2e-3)
    one, other = (load_file(output / 'model' / 'unet.safetensors') for output in outputs)
    assert_alike(one, other)


def test_the_first_version_of_fsdp_is_refused(paths, tmp_path):
    assert "'fsdp_version: 2'" in launch(1, *paths, tmp_path / 'out', fails=True)


def assert_alike(one, other):
    """Compare roughly: sums round differently, and Adam's first steps are as large as the rate for any gradient."""
    assert set(one) == set(other)
    assert max((one[key].float() - other[key].float()).abs().mean() for key in one) < 1e-4
