"""Checkpoints that ask for endless work or memory; real ones with the same features still load."""

import io
import pickle
import struct
import zipfile

import pytest
import torch

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.weights import load_weights
from modelscope_i2v.weights.pickle.archive import MAX_DIRECTORY
from modelscope_i2v.weights.pickle.program import MAX_PROGRAM
from modelscope_i2v.weights.pickle.reader import open_pickle, read_pickle
from modelscope_i2v.weights.reader import open_state_dict, read_state_dict
from tests.hostile.limits import bounded
from tests.lora_files import small_unet

PROTOCOL = b'\x80\x02'
PRIME = 2**61 - 1  # CPython's hash of an integer is its remainder


def archive(path, program, members=(), method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', method) as file:
        file.writestr('a/data.pkl', program)
        for name, content in members:
            file.writestr(name, content)
    return path


def integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, 'little')
    return b'\x8a' + bytes([len(data)]) + data


def nested_tuples(depth=4, width=300):
    """A dict whose key is a tuple of references to one tuple of references ..., saved as their sequence."""
    program = b'K\x01'
    for level in range(depth):
        program += b'q' + bytes([level]) + b'0(' + (b'h' + bytes([level])) * width + b't'
    return program


def get(count):
    return b'h\x00' * count


FLOATS = b'ctorch\nFloatStorage\n'
STORAGE = b'(X\x07\x00\x00\x00storage' + FLOATS + b'X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ'
TENSOR = b'ctorch._utils\n_rebuild_tensor\n(' + STORAGE + b'K\x00J\xff\xff\xff\x7f\x85K\x00\x85tR'
HUGE = b'\x8b\xa0\x86\x01\x00' + b'\x01' * 100_000
LONG_LIST = b'](' + b'N' * 100_000 + b'eq\x000'
LONG_TUPLE = b'(' + b'K\x01' * 100_000 + b'tq\x000'
PROGRAMS = {
    'a key of nested shared tuples': b'}' + nested_tuples() + b'Ns.',
    'a member of nested shared tuples': b'\x8f(' + nested_tuples() + b'\x90.',
    'a frozen set of nested shared tuples': b'(' + nested_tuples() + b'\x91.',
    'an ordered key of nested shared tuples': b'ccollections\nOrderedDict\n](]('
    + nested_tuples()
    + b'Neeh\x00\x85R.'.replace(b'h\x00', b'')
    + b'.',
    'colliding integers': b'}(' + b''.join(integer(PRIME * index) + b'N' for index in range(40_000)) + b'u.',
    'colliding integers in a set': b'\x8f(' + b''.join(integer(PRIME * index) for index in range(40_000)) + b'\x90.',
    'colliding tuples': b'}(' + b''.join(b'K\x01J' + struct.pack('<i', n) + b'\x86N' for n in range(40_000)) + b'u.',
    'a huge integer as key, often': HUGE + b'q\x000}' + b'h\x00Ns' * 99_999 + b'.',
    'copies of a long list': LONG_LIST + b'](' + (b'c__builtin__\nset\nh\x00\x85R' * 5000) + b'e.',
    'copies of a long size': LONG_TUPLE + b'](' + (b'ctorch\nSize\nh\x00\x85R' * 5000) + b'e.',
    'long names, joined': b'X\xa0\x86\x01\x00' + b'x' * 100_000 + b'q\x000](' + b'h\x00h\x00\x93' * 20_000 + b'e.',
    'a long reference, often': b'(' + b'K\x01' * 100_000 + b'tq\x000](' + b'h\x00Q' * 100_000 + b'e.',
    'a set of the numbers of a tensor': b'c__builtin__\nset\n' + TENSOR + b'\x85R.',
    'a dictionary of the numbers of a tensor': b'ccollections\nOrderedDict\n' + TENSOR + b'\x85R.',
    'a tensor of many dimensions': b'ctorch._utils\n_rebuild_tensor\n('
    + STORAGE
    + b'K\x00('
    + b'K\x01' * 1000
    + b'tq\x00h\x00tR.',
    'a tensor of a huge number of dimensions': b'ctorch._utils\n_rebuild_tensor\n('
    + STORAGE
    + b'K\x00\x8b\xa0\x86\x01\x00'
    + b'\x01' * 100_000
    + b'\x85q\x00h\x00tR.',
    'a storage of a huge size': STORAGE.replace(b'K\x04', b'\x8b\xa0\x86\x01\x00' + b'\x01' * 100_000) + b'.',
    'a key that is a long name': b'}(X\xa0\x86\x01\x00' + b'x' * 100_000 + TENSOR + b'u.',
    'a long program': b']' + b'N0' * (MAX_PROGRAM // 2) + b'.',
    'a frame beyond the end': b'\x95' + struct.pack('<Q', MAX_PROGRAM - 100) + b'](' + b'N' * 50 + b'e.',
    'many lists': b'](' + b']' * (MAX_PROGRAM - 100) + b'e.',
    'many sets': b'](' + b'\x8f' * (MAX_PROGRAM - 100) + b'e.',
    'many tensors': b'ctorch._utils\n_rebuild_tensor\nq\x000('
    + STORAGE
    + b'K\x00K\x01\x85K\x01\x85tq\x010]('
    + b'h\x00h\x01R' * ((MAX_PROGRAM - 1000) // 5)
    + b'e.',
    'deep lists': b']' * 1_000_000 + b'a' * 999_999 + b'.',
    'deep tuples': b')' + b'\x85' * 1_000_000 + b'.',
}  # fmt: skip


@pytest.mark.parametrize('name', PROGRAMS)
def test_programs(tmp_path, name):
    path = archive(tmp_path / 'a.pth', PROTOCOL + PROGRAMS[name], [('a/data/0', bytes(16))])
    with bounded(seconds=15, megabytes=1200), pytest.raises(CheckpointError, match=r'a\.pth'):
        read_state_dict(path)
    legacy = tmp_path / 'b.pth'
    header = b''.join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}))
    legacy.write_bytes(header + PROTOCOL + PROGRAMS[name] + pickle.dumps(['0'], 2) + struct.pack('<q', 4) + bytes(16))
    with bounded(seconds=15, megabytes=1200), pytest.raises(CheckpointError, match=r'b\.pth'):
        read_state_dict(legacy)


def test_the_keys_of_a_legacy_file(tmp_path):
    header = b''.join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}))
    keys = PROTOCOL + b'](' + nested_tuples() + b'e.'
    path = tmp_path / 'a.pth'
    path.write_bytes(header + PROTOCOL + b'}.' + keys)
    with bounded(seconds=2), pytest.raises(CheckpointError, match='as a key'):
        read_pickle(path)


def big_members(path, count, size, method):
    """A checkpoint of ``count`` tensors of zeros, ``size`` bytes each."""
    small = io.BytesIO()
    torch.save({f't{index}': torch.zeros(4) for index in range(count)}, small)
    with zipfile.ZipFile(small) as source:
        program = source.read('archive/data.pkl').replace(b'K\x04', b'J' + struct.pack('<i', size // 4))
    zeros = bytes(size)
    return archive(path, program, [(f'a/data/{index}', zeros) for index in range(count)], method)


@pytest.fixture(scope='module')
def bomb(tmp_path_factory):
    """1.5 MB that unpack to 1.5 GB."""
    path = tmp_path_factory.mktemp('bomb') / 'a.pth'
    return big_members(path, 10, 150_000_000, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize('read', [read_state_dict, read_pickle, open_state_dict])
def test_a_bomb(bomb, read):
    assert bomb.stat().st_size < 2_000_000
    with bounded(seconds=5, megabytes=100), pytest.raises(CheckpointError, match='which weights never do'):
        read(bomb)


def test_a_small_bomb_is_unpacked_only_for_a_network_that_needs_it(tmp_path):
    path = big_members(tmp_path / 'a.pth', 1, 60_000_000, zipfile.ZIP_DEFLATED)
    unet = small_unet()
    with bounded(seconds=5, megabytes=30), pytest.raises(CheckpointError, match='do not fit'):
        load_weights(unet, path)
    with bounded(seconds=5, megabytes=30):
        opened = open_pickle(path)
        opened.fill([])
    with bounded(seconds=5, megabytes=90):  # once, not twice
        assert not read_pickle(path)['t0'].any()


@pytest.mark.parametrize('change', ['larger', 'smaller'])
def test_a_member_that_is_not_as_large_as_it_says(tmp_path, change):
    path = big_members(tmp_path / 'a.pth', 1, 1_000_000, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    said = struct.pack('<I', 1_000_000)
    other = struct.pack('<I', 999_996 if change == 'larger' else 1_000_004)
    assert data.count(said) >= 2
    path.write_bytes(bytes(data).replace(said, other))
    with bounded(seconds=5, megabytes=30), pytest.raises(CheckpointError):
        read_state_dict(path)


def shared_member(path, count, size, *, misaligned):
    """A zip file whose directory lists one member under ``count`` names."""
    program = io.BytesIO()
    torch.save({f't{index}': torch.zeros(4) for index in range(count)}, program)
    with zipfile.ZipFile(program) as source:
        pickled = source.read('archive/data.pkl').replace(b'K\x04', b'J' + struct.pack('<i', size // 4))
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('a/data.pkl', pickled)
        name = 'a/data/0'
        pad = -(file.fp.tell() + 30 + len(name)) % 4 + (1 if misaligned else 0)
        entry = zipfile.ZipInfo(name)
        entry.extra = struct.pack('<HH', 0xABCD, pad + 4 - 4) + bytes(pad)
        file.writestr(entry, bytes(size))
        for index in range(1, count):
            copy = zipfile.ZipInfo(f'a/data/{index}')
            for attribute in ('header_offset', 'file_size', 'compress_size', 'CRC'):
                setattr(copy, attribute, getattr(entry, attribute))
            file.filelist.append(copy)
            file.NameToInfo[copy.filename] = copy
    return path


def test_members_that_overlap_are_not_copied(tmp_path):
    path = shared_member(tmp_path / 'a.pth', 200, 10_000_000, misaligned=True)
    with bounded(seconds=5, megabytes=60), pytest.raises(CheckpointError, match='overlap'):
        read_state_dict(path)


def test_a_directory_of_a_zip_file_that_is_too_large(tmp_path):
    path = tmp_path / 'a.pth'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('a/data.pkl', pickle.dumps({}))
        entry = file.filelist[0]
        for index in range(MAX_DIRECTORY // 50):
            copy = zipfile.ZipInfo(f'a/{index}')
            copy.header_offset, copy.CRC = entry.header_offset, 0
            file.filelist.append(copy)
    with bounded(seconds=5, megabytes=100), pytest.raises(CheckpointError, match='directory'):
        read_state_dict(path)


@pytest.mark.parametrize('name', ['a/data.pkl', 'a/byteorder'])
def test_members_beside_the_weights(tmp_path, name):
    with zipfile.ZipFile(tmp_path / 'a.pth', 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('a/data.pkl', pickle.dumps({}) if name != 'a/data.pkl' else bytes(300_000_000))
        if name != 'a/data.pkl':
            file.writestr(name, bytes(300_000_000))
    with bounded(seconds=5, megabytes=50), pytest.raises(CheckpointError, match='larger than in any checkpoint'):
        read_state_dict(tmp_path / 'a.pth')


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression(tmp_path, method):
    with pytest.raises(CheckpointError, match='unusual way'):
        read_state_dict(big_members(tmp_path / 'a.pth', 1, 1000, method))


def test_a_header_of_safetensors_that_is_too_large(tmp_path):
    entry = '"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = '{' + ','.join(entry % index for index in range(200_000)) + '}'
    path = tmp_path / 'a.safetensors'
    path.write_bytes(struct.pack('<Q', len(header)) + header.encode())
    with bounded(seconds=2, megabytes=50), pytest.raises(CheckpointError, match='more tensors than any network'):
        read_state_dict(path)


def test_keys_of_real_checkpoints_are_read(tmp_path):
    saved = {
        'state': {index: {'step': 1, 'exp_avg': torch.ones(2)} for index in range(3000)},
        'groups': [{'betas': (0.9, 0.999), 'params': list(range(3000))}],
        ('a', 1): frozenset({1, 'b', (2, 3)}),
        -1: {1.5, None, 'x', True},
        2**40: torch.Size([2, 3]),
    }
    torch.save(saved, tmp_path / 'a.pth')
    loaded = read_pickle(tmp_path / 'a.pth')
    assert loaded.keys() == saved.keys()
    assert len(loaded['state']) == 3000
    assert loaded[-1] == saved[-1]
    assert loaded['groups'] == saved['groups']
