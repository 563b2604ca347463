import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics import as_frames
from modelscope_i2v.metrics.frames import luma
from tests.metrics.clips import GREEN, RED, plain


def test_uint8_arrays_become_floats_with_the_channels_second():
    array = np.zeros((1, 2, 5, 3), np.uint8)
    array[0, 1, 4] = (255, 51, 0)
    frames = as_frames(array)
    assert frames.shape == (1, 3, 2, 5)
    assert frames.dtype == torch.float32
    assert frames[0, :, 1, 4].tolist() == pytest.approx([1, 0.2, 0])
    assert frames.sum() == pytest.approx(1.2)
    assert torch.equal(as_frames(torch.from_numpy(array)), frames)


def test_floats_stay_as_they_are():
    frames = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    assert torch.equal(as_frames(frames), frames.float())
    assert torch.equal(as_frames(frames.numpy()), frames.float())


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        ([1, 2], 'list'),
        (torch.zeros(2, 4, 4, 3), r'\[2, 4, 4, 3\]'),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), r'\[2, 3, 4, 4\]'),
        (torch.zeros(2, 3, 4, 4, dtype=torch.int64), 'int64'),
        (torch.zeros(3, 4, 4), r'\[3, 4, 4\]'),
        (torch.zeros(0, 3, 4, 4), r'\[0, 3'),
        (torch.zeros(1, 3, 0, 4), 'pixels'),
        (torch.full((1, 3, 4, 4), -0.5), 'from -0.5'),
        (torch.full((1, 3, 4, 4), 255.0), 'to 255'),
        (torch.full((1, 3, 4, 4), float('nan')), 'nan'),
    ],
)
def test_what_is_no_clip_is_refused(frames, message):
    with pytest.raises(InputError, match=message):
        as_frames(frames)


def test_luma_weighs_the_colours_as_bt_709():
    values = luma(plain(RED, GREEN, (0.0, 0.0, 1.0), 1.0, 0.0))[:, 0, 0].tolist()
    assert values == pytest.approx([0.2126, 0.7152, 0.0722, 1, 0])
