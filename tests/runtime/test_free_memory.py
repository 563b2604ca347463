"""Free memory: control groups as Linux writes them, and this machine's own."""

import psutil
import pytest
import torch

from modelscope_i2v.runtime.free_memory import container_room, free_memory

GIB = 2**30


def group(folder, limit, usage, inactive, version=2):
    names = ('memory.max', 'memory.current', 'inactive_file')
    if version == 1:
        names = ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f'{limit}\n')
    (folder / names[1]).write_text(f'{usage}\n')
    (folder / 'memory.stat').write_text(f'anon 1\n{names[2]} {inactive}\nfile 7\n')


@pytest.fixture
def room(tmp_path):
    """The room that a process of the given groups has."""

    def found(membership):
        (tmp_path / 'membership').write_text(membership)
        return container_room(tmp_path / 'cgroup', tmp_path / 'membership')

    found.root = tmp_path / 'cgroup'
    return found


def test_version_2_counts_what_the_kernel_takes_back_as_free(room):
    group(room.root / 'app', 4 * GIB, 3 * GIB, GIB)
    assert room('0::/app\n') == 2 * GIB


def test_the_tightest_group_around_the_process_counts(room):
    group(room.root, 'max', 9 * GIB, 0)
    group(room.root / 'pod', 8 * GIB, 7 * GIB, 0)
    group(room.root / 'pod' / 'app', 6 * GIB, 3 * GIB, 0)
    group(room.root / 'other', GIB, GIB, 0)
    assert room('0::/pod/app\n') == GIB


def test_a_path_of_the_host_falls_back_to_the_containers_root(room):
    group(room.root, 5 * GIB, 2 * GIB, 0)
    assert room('0::/docker/0123abc\n') == 3 * GIB


def test_version_1_beside_an_empty_version_2(room):
    group(room.root / 'memory' / 'a' / 'b', 2 * GIB, GIB, GIB // 2, version=1)
    group(room.root / 'memory', 2**63 - 4096, 0, 0, version=1)
    group(room.root / 'cpu' / 'a', GIB, GIB, 0, version=1)
    assert room('5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n') == 3 * GIB // 2


def test_a_group_over_its_limit_has_no_room(room):
    group(room.root, GIB, 2 * GIB, 0)
    assert room('0::/\n') == 0


@pytest.mark.parametrize('membership', ['0::/none\n', '7:devices:/a\n', ''])
def test_no_limit_is_no_answer(room, membership):
    assert room(membership) is None


def test_other_systems_have_no_groups(tmp_path):
    assert container_room(tmp_path, tmp_path / 'absent') is None


def test_unknown_formats_are_no_answer(room):
    group(room.root, 'plenty', 0, 0)
    assert room('0::/\n') is None


def test_main_memory_of_this_machine():
    assert 0 < free_memory(torch.device('cpu')) <= psutil.virtual_memory().total


def test_a_device_that_does_not_tell():
    assert free_memory(torch.device('meta')) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU here')
def test_what_pytorch_holds_in_reserve_is_free():
    device = torch.device('cuda:0')
    before = free_memory(device)
    held = torch.empty(2**28, dtype=torch.uint8, device=device)
    assert before - free_memory(device) == pytest.approx(2**28, rel=0.2)
    del held  # PyTorch keeps it in reserve
    assert free_memory(device) == pytest.approx(before, rel=0.02)
