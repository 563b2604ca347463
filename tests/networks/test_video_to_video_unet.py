import pytest
import torch

from modelscope_i2v.errors import InputError
from tests.golden import NET_BOUND, difference, golden, unet_v2v_micro, unet_v2v_tiny


@pytest.fixture(scope='module')
def tiny():
    return unet_v2v_tiny()


@pytest.mark.parametrize('case', ['c1', 'c2', 'c3_b2_y1'])
@torch.no_grad()
def test_equals_reference(tiny, case):
    data = golden('unet_v2v_tiny')
    out = tiny(*(data[f'{case}.{name}'] for name in ('x', 't', 'y')))
    assert difference(out, data[f'{case}.out']) < NET_BOUND
    assert difference(out, data[f'{case}.out_fp64']) < NET_BOUND


def test_legal_heights_are_two_more_than_a_multiple():
    micro = unet_v2v_micro()
    t, y = torch.tensor([1]), torch.zeros(1, 77, 1024)
    with torch.no_grad():
        assert micro(torch.zeros(1, 4, 1, 6, 4), t, y).shape == (1, 4, 1, 6, 4)
    with pytest.raises(InputError, match='2 more than a multiple of 4'):
        micro(torch.zeros(1, 4, 1, 8, 4), t, y)
