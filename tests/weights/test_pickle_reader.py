"""Files written by torch.save come back unchanged, whatever else they hold beside the tensors."""

from __future__ import annotations

import argparse
import collections
import functools
import pickle
import subprocess
import sys
import types
import zipfile

import pytest
import torch

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.weights.pickle.builders import Stub
from modelscope_i2v.weights.pickle.reader import read_pickle

FORMATS = pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
KINDS = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool, torch.int8)


def save(contents, path, is_zip=True, protocol=2):
    torch.save(contents, path, _use_new_zipfile_serialization=is_zip, pickle_protocol=protocol)
    return path


@FORMATS
@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_tensors_come_back(tmp_path, is_zip, protocol):
    base = torch.randn(6, 5)
    saved = {str(kind): (base * 50).to(kind) for kind in KINDS}
    saved |= {'transposed': base.T, 'strided': base[1::2, ::3], 'scalar': torch.tensor(3.5), 'empty': torch.empty(0, 4)}
    saved |= {
        'expanded': torch.ones(1).expand(5),
        'channels_last': torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    saved |= {'parameter': torch.nn.Parameter(torch.randn(3)), 'buffer': torch.nn.Buffer(torch.ones(2))}
    loaded = read_pickle(save(saved, tmp_path / 'a.pth', is_zip, protocol))
    assert list(loaded) == list(saved)
    for name, tensor in saved.items():
        torch.testing.assert_close(loaded[name], tensor.detach(), rtol=0, atol=0)
        assert loaded[name].stride() == tensor.stride()
        assert type(loaded[name]) is torch.Tensor
        assert not loaded[name].requires_grad


def test_kinds_without_a_storage_class(tmp_path):
    saved = {'u': torch.tensor([1, 65535]).to(torch.uint16), 'f8': torch.tensor([1.5, -2]).to(torch.float8_e4m3fn)}
    loaded = read_pickle(save(saved, tmp_path / 'a.pth'))
    assert {name: tensor.dtype for name, tensor in loaded.items()} == {n: t.dtype for n, t in saved.items()}
    assert loaded['u'].to(torch.int64).tolist() == [1, 65535]
    assert loaded['f8'].float().tolist() == [1.5, -2]


@FORMATS
def test_shared_storage_stays_shared_and_the_file_unchanged(tmp_path, is_zip):
    base = torch.zeros(8)
    path = save([base, base[2:4]], tmp_path / 'a.pth', is_zip)
    before = path.read_bytes()
    whole, part = read_pickle(path)
    part += 7
    assert whole.tolist() == [0, 0, 7, 7, 0, 0, 0, 0]
    assert path.read_bytes() == before


@FORMATS
@pytest.mark.parametrize('protocol', [2, 4])
def test_plain_containers(tmp_path, is_zip, protocol):
    saved = {
        'a': [1, 2.5, None, True],
        'b': (b'\xff', 'ü'),
        3: {1, 2},
        'c': collections.OrderedDict(x=1),
        ('t', 1): 1 << 80,
    }
    saved |= {
        'size': torch.Size([2, 3]),
        'dtype': torch.bfloat16,
        'default': collections.defaultdict(dict, {0: {'s': 1}}),
    }
    loaded = read_pickle(save(saved, tmp_path / 'a.pth', is_zip, protocol))
    if protocol == 2:  # protocol 2 stores bytes as a call of _codecs.encode
        assert isinstance(loaded['b'][0], Stub)
        del loaded['b'], saved['b']
    assert loaded == saved


@FORMATS
@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_lightning_checkpoint_without_lightning(tmp_path, monkeypatch, is_zip, protocol):
    numpy = pytest.importorskip('numpy')
    module = types.ModuleType('pytorch_lightning_that_is_not_installed')
    source = (
        'import collections, enum\nclass ModelCheckpoint:\n  pass\nclass AttributeDict(dict):\n  pass\n'
        'class Monitor(list):\n  pass\nclass Mode(enum.Enum):\n  MIN = 1\nclass Slotted:\n  __slots__ = ("a",)\n'
        'def hook():\n  pass\nclass Keyed:\n  def __new__(cls, *, x):\n    return object.__new__(cls)\n'
        '  def __getnewargs_ex__(self):\n    return (), {"x": 1}\n'
    )
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    slotted = module.Slotted()
    slotted.a = 1
    callback = module.ModelCheckpoint()
    callback.best = torch.tensor(0.5)
    saved = {
        'callbacks': {module.ModelCheckpoint: {'monitor': callback}, module.Mode.MIN: 1},
        'hyper_parameters': module.AttributeDict(lr=1.0),
        'odd': [
            slotted,
            module.Keyed(x=1) if protocol > 3 else None,
            functools.partial(module.hook, 1),
            module.Monitor([1]),
        ],
        'loss': numpy.float64(0.5),
        'array': numpy.arange(3),
        'namespace': argparse.Namespace(a=1, nested={callback}),
        'state_dict': collections.OrderedDict(weight=torch.arange(3.0)),
    }
    path = save(saved, tmp_path / 'a.ckpt', is_zip, protocol)
    monkeypatch.delitem(sys.modules, module.__name__)
    loaded = read_pickle(path)
    assert loaded['state_dict']['weight'].tolist() == [0, 1, 2]
    assert repr(loaded['hyper_parameters']) == f'<not loaded: {module.__name__}.AttributeDict>'
    assert {type(key) for key in loaded['callbacks']} == {Stub}
    assert module.__name__ not in sys.modules


@FORMATS
def test_every_cut_is_refused(tmp_path, is_zip):
    path = save({'a': torch.randn(50), 'b': torch.ones(3, dtype=torch.int64)}, tmp_path / 'a.pth', is_zip)
    whole = path.read_bytes()
    for length in range(4, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_pickle(path)


def test_compressed_and_misaligned_archives(tmp_path):
    saved = {'a': torch.randn(30), 'b': torch.zeros(200), 'c': torch.empty(0)}
    original = save(saved, tmp_path / 'a.pth')
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(original) as source, zipfile.ZipFile(tmp_path / 'b.pth', 'w', method) as target:
            for name in source.namelist():
                target.writestr(f'folder/{name}', source.read(name))
        torch.testing.assert_close(read_pickle(tmp_path / 'b.pth'), saved, rtol=0, atol=0)


def test_archives_of_another_kind(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / 'script.pt')
    with pytest.raises(CheckpointError, match='TorchScript'):
        read_pickle(tmp_path / 'script.pt')
    with zipfile.ZipFile(tmp_path / 'photos.zip', 'w') as archive:
        archive.writestr('a.txt', 'a')
    with pytest.raises(CheckpointError, match=r'without a data\.pkl'):
        read_pickle(tmp_path / 'photos.zip')
    with zipfile.ZipFile(tmp_path / 'big.pth', 'w') as archive:
        archive.writestr('a/data.pkl', pickle.dumps({}))
        archive.writestr('a/byteorder', 'big' if sys.byteorder == 'little' else 'little')
    with pytest.raises(CheckpointError, match='endian'):
        read_pickle(tmp_path / 'big.pth')


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_memory_is_used_when_touched(tmp_path):
    path = save({'a': torch.ones(50_000_000)}, tmp_path / 'a.pth')
    program = (
        'import resource, sys\nfrom modelscope_i2v.weights.pickle.reader import read_pickle\n'
        'def used():\n  return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6\n'
        'before = used()\ntensor = read_pickle(sys.argv[1])["a"]\nloaded = used()\ntotal = tensor.sum().item()\n'
        'print(loaded - before, used() - loaded, total)\n'
    )
    done = subprocess.run([sys.executable, '-c', program, path], capture_output=True, text=True, check=True)
    loaded, touched, total = map(float, done.stdout.split())
    assert loaded < 20  # of 200 MB
    assert touched > 150
    assert total == 50_000_000
