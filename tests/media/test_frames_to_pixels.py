"""Converting the decoder's tensors to pixels, compared with the original implementation's numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.frames import frames_to_float, frames_to_uint8

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden_postprocess.npz'


@pytest.mark.parametrize('suffix', ['', '_batch2'])
def test_pixels_equal_the_reference(suffix):
    with np.load(GOLDEN) as golden:
        x, expected = golden[f'x{suffix}'], golden[f'frames{suffix}']
    # [B, 3, F, H, W]: the original implementation keeps only the first item of the batch.
    frames = torch.from_numpy(x[0]).permute(1, 0, 2, 3)
    kept = frames.clone()
    pixels = frames_to_uint8(frames)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)
    assert torch.equal(frames.nan_to_num(), kept.nan_to_num())


def test_values_are_clamped_and_truncated_and_nan_is_black():
    values = torch.tensor([-2.0, -1.0, 0.0, 0.999, 1.0, 7.0, float('nan'), float('inf'), -float('inf')])
    pixels = frames_to_uint8(values.expand(1, 3, 1, -1))
    assert pixels.shape == (1, 1, 9, 3)
    assert pixels[0, 0, :, 0].tolist() == [0, 0, 127, 254, 255, 255, 0, 255, 0]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_count_in_float32(dtype):
    frames = torch.linspace(-1, 1, 48).reshape(1, 3, 4, 4).to(dtype).requires_grad_()
    np.testing.assert_array_equal(frames_to_uint8(frames), frames_to_uint8(frames.detach().float()))


def test_float_frames_lie_in_0_to_1():
    frames = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).expand(2, 3, 1, -1)
    result = frames_to_float(frames)
    assert result.dtype == torch.float32
    assert result.shape == (2, 3, 1, 5)
    assert result[1, 2, 0].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert frames[0, 0, 0].tolist() == [-3.0, -1.0, 0.0, 1.0, 3.0]
    assert not result.requires_grad


@pytest.mark.parametrize('shape', [(3, 4, 4), (1, 4, 4, 3), (1, 3, 2, 4, 4)])
def test_other_shapes_are_refused(shape):
    for function in (frames_to_uint8, frames_to_float):
        with pytest.raises(InputError, match=str(list(shape)).replace('[', r'\[')):
            function(torch.zeros(shape))
