"""Digests change if something changed, and only then."""

import pytest
import torch
from torch import nn

from demo_training.made_from import code_fingerprint
from modelscope_i2v.training.fingerprint import fingerprint


@pytest.fixture
def threads():
    """A function that sets torch's number of threads; it is restored after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def network(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    made = nn.Module()
    made.weight = nn.Parameter(torch.randn(1000, 700, generator=generator).to(dtype))
    made.register_buffer('steps', torch.tensor(3))
    made.register_buffer('used', torch.tensor([True, False, True]))
    made.register_buffer('none', torch.zeros(0))
    return made


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_a_digest_does_not_depend_on_the_number_of_threads(threads, dtype):
    found = set()
    for count in (1, 2, 3, 4):
        threads(count)
        found.add(fingerprint(network(dtype)))
    assert len(found) == 1


def test_every_change_of_a_network_is_seen():
    def changed(change):
        made = network()
        with torch.no_grad():
            change(made)
        return fingerprint(made)

    digests = [
        fingerprint(network()),
        changed(lambda made: made.weight[0, 1].add_(1e-6)),
        changed(lambda made: made.weight[-1, -1].add_(1e-6)),
        changed(lambda made: made.weight[0, :2].copy_(made.weight[0, :2].flip(0))),
        changed(lambda made: made.steps.add_(1)),
        changed(lambda made: made.used.logical_not_()),
        fingerprint(network(), 1),
        fingerprint(network(), '1'),
    ]
    assert len(set(digests)) == len(digests)


def test_comments_do_not_make_another_world(tmp_path):
    code = {'a.py': 'x = 1  # one\n', 'b.py': 'x  =  1\n', 'c.py': 'x = 2\n'}
    for name, text in code.items():
        (tmp_path / name).write_text(text)
    a, b, c = (code_fingerprint(tmp_path / name) for name in code)
    assert a == b != c
