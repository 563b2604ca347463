"""Weight files in any container become flat state dicts; everything else is refused with advice."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.weights.reader import read_state_dict

TENSORS = {
    'a.weight': torch.arange(6.0).reshape(2, 3),
    'b': torch.tensor([1, 2]),
    'c': torch.ones(2, dtype=torch.bfloat16),
}


def assert_same(loaded, expected=TENSORS):
    assert list(loaded) == list(expected)
    torch.testing.assert_close(loaded, expected, rtol=0, atol=0)


@pytest.mark.parametrize('suffix', ['.pth', '.pt', '.ckpt', '.bin', ''])
@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize('as_text', [True, False])
def test_torch_files(tmp_path, suffix, is_zip, as_text):
    path = tmp_path / f'weights{suffix}'
    torch.save(TENSORS, path, _use_new_zipfile_serialization=is_zip)
    assert_same(read_state_dict(str(path) if as_text else path))


def test_legacy_file_of_protocol_1(tmp_path):
    torch.save(TENSORS, tmp_path / 'a.pth', _use_new_zipfile_serialization=False, pickle_protocol=1)
    assert_same(read_state_dict(tmp_path / 'a.pth'))


@pytest.mark.parametrize('name', ['a.safetensors', 'a.SafeTensors', 'a.bin'])
def test_safetensors(tmp_path, name):
    save_file(TENSORS, tmp_path / name)
    loaded = read_state_dict(tmp_path / name)
    assert_same({key: loaded[key] for key in TENSORS})


WRAPPERS = {
    'none': lambda tensors: tensors,
    'state_dict': lambda tensors: {'state_dict': tensors, 'epoch': 3, 'other': torch.ones(1)},
    'twice': lambda tensors: {'state_dict': {'state_dict': tensors}},
    'module': lambda tensors: {f'module.{key}': value for key, value in tensors.items()},
    'both': lambda tensors: {'state_dict': {f'module.{key}': value for key, value in tensors.items()}},
    'others dropped': lambda tensors: {'epoch': 3, 'names': ['a'], 5: torch.ones(1), **tensors, 'last': None},
    'parameters': lambda tensors: {
        k: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for k, v in tensors.items()
    },
}


@pytest.mark.parametrize('wrapper', WRAPPERS)
@pytest.mark.parametrize('in_file', [True, False])
def test_wrappers(tmp_path, wrapper, in_file):
    source = WRAPPERS[wrapper](TENSORS)
    if in_file:
        torch.save(source, tmp_path / 'a.pth')
        source = tmp_path / 'a.pth'
    loaded = read_state_dict(source)
    assert_same(loaded)
    assert all(type(tensor) is torch.Tensor and not tensor.requires_grad for tensor in loaded.values())


def test_module_prefix_is_cut_only_where_it_is():
    one = torch.ones(1)
    assert list(read_state_dict({'module.a': one, 'b': one, 'module.module.c': one})) == ['a', 'b', 'module.c']
    assert list(read_state_dict({'b': one, 'module.a': one})) == ['b', 'module.a']
    assert list(read_state_dict({'modules.a': one})) == ['modules.a']
    with pytest.raises(CheckpointError, match=r"both 'a' and 'module\.a'"):
        read_state_dict({'module.a': one, 'a': one})


def test_a_mapping_is_not_changed_and_shares_memory():
    source = {'state_dict': {'module.a': torch.zeros(2)}}
    read_state_dict(source)['a'] += 1
    assert source['state_dict']['module.a'].tolist() == [1, 1]
    assert list(source['state_dict']) == ['module.a']


FILES = {
    b'': r'empty \(0 bytes\)',
    b'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n': 'has not been downloaded.*git lfs pull',
    b'\n<!DOCTYPE html><html lang="\xc3\xa9">': 'web page',
    b'{"error": "not found"}': 'text file',
    b'\x1f\x8b\x08\x00abc': 'neither a .safetensors file nor',
    b'PK\x03\x04' + bytes(100): 'damaged or cut off',
    b'\x80\x02}q\x00': 'damaged or cut off',
    pickle.dumps({'a': 1}): 'torch.save did not write',
}


@pytest.mark.parametrize('contents', FILES)
def test_files_that_hold_no_weights(tmp_path, contents):
    path = tmp_path / 'a.pth'
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=FILES[contents]) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth'])
def test_cut_safetensors(tmp_path, name):
    path = tmp_path / name
    save_file({'a': torch.randn(100)}, path)
    whole = path.read_bytes()
    for length in (9, 40, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match='download it'):
            read_state_dict(path)


def test_torch_file_named_safetensors(tmp_path):
    torch.save(TENSORS, tmp_path / 'a.safetensors')
    with pytest.raises(CheckpointError, match=r'rename it to \.pth'):
        read_state_dict(tmp_path / 'a.safetensors')


def test_paths(tmp_path):
    with pytest.raises(CheckpointError, match=r'nothing\.pth does not exist'):
        read_state_dict(tmp_path / 'nothing.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        read_state_dict(tmp_path)
    with pytest.raises(CheckpointError, match='cannot be read'):
        read_state_dict('a\0b')
    with pytest.raises(CheckpointError, match='a path or a state dict, found int'):
        read_state_dict(3)


@pytest.mark.parametrize(
    'contents', [{}, {'state_dict': {}}, {'epoch': 3}, {5: torch.ones(1)}, {'model': {'a': torch.ones(1)}}], ids=repr
)
def test_no_tensors(tmp_path, contents):
    torch.save(contents, tmp_path / 'a.pth')
    for source in (contents, tmp_path / 'a.pth'):
        with pytest.raises(CheckpointError, match='holds no tensors'):
            read_state_dict(source)


def test_objects_instead_of_a_state_dict(tmp_path):
    for contents, found in ((torch.nn.Linear(1, 1), r'torch\.nn\.modules\.linear\.Linear'), ([torch.ones(1)], 'list')):
        for wrapped in (contents, {'state_dict': contents}) if found != 'list' else (contents,):
            torch.save(wrapped, tmp_path / 'a.pth')
            with pytest.raises(CheckpointError, match=f'type {found} instead'):
                read_state_dict(tmp_path / 'a.pth')


@pytest.mark.filterwarnings('ignore')
def test_unusable_tensors(tmp_path):
    unusable = {
        'sparse': torch.eye(2).to_sparse(),
        'csr': torch.eye(2).to_sparse_csr(),
        'quantised': torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        'meta': torch.empty(2, device='meta'),
    }
    for name, tensor in unusable.items():
        torch.save({'a': torch.ones(1), name: tensor}, tmp_path / 'a.pth')
        for source in ({name: tensor}, tmp_path / 'a.pth'):
            with pytest.raises(CheckpointError, match=f"'{name}' in .* only dense ones"):
                read_state_dict(source)
    # Beside the weights, they do no harm.
    torch.save({'state_dict': TENSORS, **unusable}, tmp_path / 'a.pth')
    assert_same(read_state_dict(tmp_path / 'a.pth'))


def test_safetensors_are_views_of_the_file(tmp_path):
    if not sys.platform.startswith('linux'):
        pytest.skip('reads /proc')
    path = tmp_path / 'mapped.safetensors'
    save_file({'a': torch.ones(1 << 20)}, path)
    tensor = read_state_dict(path)['a']
    with Path('/proc/self/maps').open() as maps:
        regions = [line.split()[0].split('-') for line in maps if str(path) in line]
    assert any(int(start, 16) <= tensor.data_ptr() < int(end, 16) for start, end in regions)
