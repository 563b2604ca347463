"""Several processes, as torch's launcher starts them, train as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modelscope_i2v.registration import IMAGE_TO_VIDEO
from modelscope_i2v.training.trainer import train
from tests.training.tiny import configuration, losses, write_data, write_model

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
from modelscope_i2v.training.trainer import train
from tests.training.tiny import configuration

train(configuration(*sys.argv[1:4], loop=json.loads(sys.argv[4])))
"""


def launch(folder, model, data, output, **loop):
    """Train in two processes."""
    script = folder / 'script.py'
    script.write_text(SCRIPT)
    # `accelerate launch --cpu` starts a single process, whatever it is told (that needs MPI).
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', str(script)]
    done = subprocess.run(
        [*command, str(model), str(data), str(output), json.dumps(loop)],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_go_on_as_if_they_had_not_stopped(tmp_path):
    model = write_model(IMAGE_TO_VIDEO, tmp_path / 'Image-to-Video')
    data = write_data(tmp_path / 'data')
    launch(tmp_path, model, data, tmp_path / 'whole', steps=4)
    launch(tmp_path, model, data, tmp_path / 'parts', steps=2)
    launch(tmp_path, model, data, tmp_path / 'parts', steps=4)
    assert losses(tmp_path / 'parts') == losses(tmp_path / 'whole')
    whole, parts = (load_file(tmp_path / name / 'lora.safetensors') for name in ('whole', 'parts'))
    assert all(torch.equal(tensor, parts[key]) for key, tensor in whole.items())


def test_two_processes_train_as_one_that_accumulates(tmp_path):
    """Gradients of two batches are averaged either way."""
    model = write_model(IMAGE_TO_VIDEO, tmp_path / 'Image-to-Video')
    data = write_data(tmp_path / 'data')
    launch(tmp_path, model, data, tmp_path / 'two')
    path = train(configuration(model, data, tmp_path / 'one', loop={'gradient_accumulation': 2}))
    one, two = load_file(path), load_file(tmp_path / 'two' / 'lora.safetensors')
    assert set(one) == set(two)
    # The sums are rounded in another order, and Adam takes first steps of the size of the rate whatever the gradient.
    assert max((one[key].float() - two[key].float()).abs().mean() for key in one) < 1e-4
    assert any(tensor.abs().max() > 1e-3 for key, tensor in two.items() if key.endswith('B.weight'))
    names = sorted(file.name for file in (tmp_path / 'two' / 'training').glob('checkpoint-*'))
    assert names == ['checkpoint-000000004.pt']
    assert len(losses(tmp_path / 'two')) == 4
