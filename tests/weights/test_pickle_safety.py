"""Nothing in a pickle is run, nothing outside it is changed, and damage never raises an unexpected error."""

from __future__ import annotations

import copyreg
import functools
import io
import os
import pickle
import subprocess
import types
import zipfile

import pytest
import torch

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.weights.pickle.reader import read_pickle
from tests.weights.test_pickle_reader import FORMATS, save


def zip_around(path, program):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', program)
    return path


def read_or_refuse(path):
    try:
        return read_pickle(path)
    except CheckpointError as error:
        return error


class Call:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce_ex__(self, protocol):
        return self.reduced


def attacks(marker):
    touch = f'open({str(marker)!r}, "w").close()'
    inner = io.BytesIO()
    torch.save(Call(exec, touch), inner)
    inner.seek(0)
    return {
        'system': Call(os.system, f'touch {marker}'),
        'eval': Call(eval, touch),
        'exec': Call(exec, touch),
        'subprocess': Call(subprocess.check_output, ['touch', str(marker)]),
        'getattr': Call(getattr, Call(__import__, 'os'), 'system'),
        'partial': Call(functools.partial(os.system, f'touch {marker}')),
        'nested load': Call(torch.load, inner, None, None),
        'from bytes': Call(torch.storage._load_from_bytes, inner.getvalue()),
        'hub': Call(torch.hub.load, str(marker.parent), 'model', 'local'),
        'open': Call(open, str(marker), 'w'),
    }


@FORMATS
@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('attack', list(attacks(types.SimpleNamespace(parent=''))))
def test_nothing_is_run(tmp_path, is_zip, protocol, attack):
    marker = tmp_path / 'marker'
    (tmp_path / 'hubconf.py').write_text(f'open({str(marker)!r}, "w")')
    evil = attacks(marker)[attack]
    read_or_refuse(save({'state_dict': evil}, tmp_path / 'a.pth', is_zip, protocol))
    plain = tmp_path / 'plain.pkl'  # a legacy reader takes its start for the header
    plain.write_bytes(pickle.dumps(evil, protocol) + save(1, tmp_path / 'b.pth', False).read_bytes())
    with pytest.raises(CheckpointError, match=r'torch\.save did not write'):
        read_pickle(plain)
    assert not marker.exists()


@FORMATS
def test_the_attacks_are_real(tmp_path, is_zip):
    marker = tmp_path / 'marker'
    torch.load(save(attacks(marker)['exec'], tmp_path / 'a.pth', is_zip), weights_only=False)
    assert marker.exists()


PROGRAMS = {
    'dotted name': b'\x80\x04\x8c\x02os\x8c\x0epath.os.getpid\x93)R.',
    'module reference': b'\x80\x02(X\x06\x00\x00\x00modulecos\ngetpid\nK\x01K\x02tQ)R.',
    'instance': b'(ios\ngetpid\n.',
    'object': b'(cos\ngetpid\no.',
    'new with keywords': b'\x80\x04cos\ngetpid\n)}\x92.',
    'extension': b'\x80\x02\x82\xf0.',
    'stub changed': b'\x80\x04cos\nenviron\n(\x8c\x01a\x8c\x01bu}\x8c\x01xK\x01sb.',
    'storage class changed': b'\x80\x02ctorch.storage\nUntypedStorage\nN}X\x08\x00\x00\x00__init__K\x01s\x86b.',
    'function changed': b'\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x06\x00\x00\x00callerK\x01s\x86b.',
}


@pytest.mark.parametrize('program', PROGRAMS)
def test_odd_programs_give_inert_objects(tmp_path, monkeypatch, program):
    monkeypatch.setitem(copyreg._inverted_registry, 0xF0, ('os', 'getpid'))
    before = dict(os.environ), dict(vars(torch.UntypedStorage)), dict(vars(torch._utils._rebuild_tensor_v2))
    loaded = read_pickle(zip_around(tmp_path / 'a.pth', PROGRAMS[program]))
    assert type(loaded).__module__ == 'modelscope_i2v.weights.pickle.builders'
    after = dict(os.environ), dict(vars(torch.UntypedStorage)), dict(vars(torch._utils._rebuild_tensor_v2))
    assert after == before


STORAGE = b'(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ'
REFUSED = {
    'beyond the storage': b'ctorch._utils\n_rebuild_tensor\n(' + STORAGE + b'K\x00K\x05\x85K\x01\x85tR.',
    'negative stride': b'ctorch._utils\n_rebuild_tensor\n(' + STORAGE + b'K\x03K\x02\x85J\xff\xff\xff\xff\x85tR.',
    'negative offset': b'ctorch._utils\n_rebuild_tensor\n(' + STORAGE + b'J\xff\xff\xff\xffK\x02\x85K\x01\x85tR.',
    'overflowing shape': b'ctorch._utils\n_rebuild_tensor\n('
    + STORAGE
    + b'K\x00\x8a\x08'
    + (1 << 62).to_bytes(8, 'little')
    + b'\x8a\x08'
    + (1 << 62).to_bytes(8, 'little')
    + b'\x86K\x00K\x00\x86tR.',
    'larger storage': STORAGE.replace(b'K\x04', b'K\x05') + b'.',
    'missing storage': STORAGE.replace(b'\x000X', b'\x009X') + b'.',
    'negative storage': STORAGE.replace(b'K\x04', b'J\xff\xff\xff\xff') + b'.',
    'other reference': b'X\x03\x00\x00\x00abcQ.',
    'call of a string': b'X\x03\x00\x00\x00abc)R.',
    'append to a dict': b'}K\x01a.',
    'items of a list': b']K\x01K\x02s.',
    'deep key': b'})' + b'\x85' * 1_000_000 + b'Ns.',
    'huge bytes': b'\x8e' + (1 << 60).to_bytes(8, 'little') + b'a.',
    'huge bytearray': b'\x96' + (1 << 40).to_bytes(8, 'little') + b'a.',
    'cut': b'}(K\x01',
    'unknown opcode': b'\xff.',
}


@pytest.mark.parametrize('program', REFUSED)
def test_impossible_programs_are_refused(tmp_path, program):
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + REFUSED[program])
        archive.writestr('archive/data/0', bytes(16))
    with pytest.raises(CheckpointError, match=r'a\.pth .*download it again'):
        read_pickle(path)


@FORMATS
def test_flipped_bytes_never_escape_as_another_error(tmp_path, is_zip):
    path = save({'a': torch.randn(2, 3), 'b': [torch.ones(3)], 'c': {1}}, tmp_path / 'a.pth', is_zip)
    whole = path.read_bytes()
    for seed in range(600):
        generator = torch.Generator().manual_seed(seed)
        damaged = bytearray(whole)
        for position in torch.randint(len(whole), (1 + seed % 4,), generator=generator).tolist():
            damaged[position] = int(torch.randint(256, (), generator=generator))
        path.write_bytes(damaged)
        read_or_refuse(path)
