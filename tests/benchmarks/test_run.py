"""The benchmark of ours against the original: it runs, compares outputs, and networks need no more than PyTorch."""

import json
import math

import pytest

from benchmarks.run.__main__ import PARTS, main
from benchmarks.run.rows import Row, all_equal, guarded
from tests.folders import run_python

#: Runs the benchmark as if the packages in the list were not installed.
BLOCKED = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        absent = name.partition('.')[0] in sys.argv[1].split(',')
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
import modelscope_i2v.diffusion
import modelscope_i2v.networks
import torch
from benchmarks.run.__main__ import main
from benchmarks.run.loops import our_loop
from benchmarks.run.pairs import inputs_of, unet_pair
from benchmarks.run.sizes import SIZES

size, cpu = SIZES['tiny'], torch.device('cpu')
for stage, shape in size.shapes.items():
    with torch.no_grad():
        latents = our_loop(stage, unet_pair(stage, size, 'fp32', cpu), inputs_of(stage, size, shape, cpu), 'fast')
    print(stage, tuple(latents.shape), bool(latents.isfinite().all()))
sys.exit(main(['--size', 'tiny', '--parts', 'loading', 'unets', 'memory', '--json', sys.argv[2]]))
"""
ABSENT = (
    'modelscope',
    'safetensors',
    'open_clip',
    'transformers',
    'PIL',
    'av',
    'tqdm',
    'psutil',
    'torchvision',
    'pytest',
)


def rows_in(file):
    return json.loads(file.read_text())['rows']


@pytest.mark.slow
def test_everything_at_a_tiny_size(tmp_path, capsys):
    assert main(['--size', 'tiny', '--json', str(tmp_path / 'a.json')]) == 0
    rows = rows_in(tmp_path / 'a.json')
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)
    parts = {row['part'] for row in rows}
    assert {'UNet', 'autoencoder', 'UNet, activations', 'growth of time', 'growth of activations', 'loop'} < parts
    assert {'share of the matmul peak', 'share of the conv peak'} < parts
    # The original is here, so everything but loading and the second generation is compared with it.
    for row in rows:
        assert row['equal'], row
        if 'i2vgen-xl' not in row['what'] and row['part'] != 'loading':
            assert not row['remark'].startswith('not run'), row
            assert row['ratio'] == pytest.approx(row['ours'] / row['reference'])
            assert row['ours'] > 0
        elif 'i2vgen-xl' in row['what']:
            assert row['reference'] is None
    exact = [row for row in rows if row['part'] == 'loop' and ', exact, fp32' in row['what']]
    assert [row['difference'] < 1e-4 for row in exact if row['difference'] is not None] == [True, True]
    machine = json.loads((tmp_path / 'a.json').read_text())['machine']
    assert machine['peaks']['fp32'].keys() == {'matmul', 'conv'}


def test_networks_need_only_pytorch_einops_and_numpy(tmp_path):
    """The rest says that it was not run, and why."""
    done = run_python(BLOCKED, ','.join(ABSENT), tmp_path / 'a.json')
    rows = rows_in(tmp_path / 'a.json')
    networks = [row for row in rows if row['part'] == 'UNet']  # in bf16 too, where the machine has that
    assert all(row['ours'] > 0 for row in networks)
    assert [row['what'].endswith('fp32') for row in networks].count(True) == 3
    assert {row['reference'] for row in rows} == {None}
    reasons = {row['what'].partition(',')[0]: row['remark'] for row in rows if row['part'] == 'UNet'}
    assert reasons['image-to-video'] == reasons['video-to-video'] == 'not run: modelscope is not installed'
    for stage in ('image-to-video', 'i2vgen-xl', 'video-to-video'):
        assert f'{stage} (1, 4, 2, 8, 8) True' in done.stdout
    assert rows[0]['remark'] == 'not run: modelscope, safetensors, open_clip not installed'
    assert 'not run: modelscope is not installed' in done.stdout


@pytest.mark.parametrize(
    ('difference', 'bound', 'equal'), [(0.1, 0.2, 1), (0.3, 0.2, 0), (math.nan, 1, 0), (9, None, 1)]
)
def test_different_outputs_are_said_and_fail(difference, bound, equal):
    row = Row(part='UNet', what='this', ours=2.0, reference=4.0, difference=difference, bound=bound)
    assert (row.ratio, row.equal, all_equal([row])) == (0.5, bool(equal), bool(equal))
    assert ('TOO LARGE' in row.as_line()) is not bool(equal)


def test_what_does_not_fit_is_said(capsys):
    def rows():
        yield Row(part='UNet', what='fits')
        raise RuntimeError('CUDA out of memory.\nTried')

    assert [row.remark for row in guarded('UNet', 'this', rows())] == ['', 'not run: CUDA out of memory.']
    with pytest.raises(SystemExit):
        main(['--parts', 'nothing'])
    said = capsys.readouterr().err
    assert all(part in said for part in PARTS)
