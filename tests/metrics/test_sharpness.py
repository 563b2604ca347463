import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics import sharpness
from tests.metrics.clips import plain


def grey(rows):
    return rows.expand(1, 3, *rows.shape[-2:]).clone()


def test_flat_frames_and_linear_ramps_have_none():
    assert sharpness(plain(0.3, 0.8)) == pytest.approx(0, abs=1e-10)
    assert sharpness(grey(torch.linspace(0, 1, 33).expand(20, 33))) == pytest.approx(0, abs=1e-10)


def test_a_checkerboard_of_pixels_has_the_most_that_there_can_be():
    y, x = torch.meshgrid(torch.arange(18), torch.arange(22), indexing='ij')
    assert sharpness(grey(((x + y) % 2).float())) == pytest.approx(16, rel=1e-5)


def test_a_sine_wave_has_its_second_difference():
    # The Laplacian of a sin(wx) is (2 cos w - 2) a sin(wx), whose variance over whole periods is half its square.
    period, height = 8, 0.4
    wave = 0.5 + height * torch.sin(2 * math.pi * torch.arange(8 * period + 2, dtype=torch.float64) / period)
    amplitude = height * (2 - 2 * math.cos(2 * math.pi / period))
    assert sharpness(grey(wave.expand(10, -1))) == pytest.approx(amplitude**2 / 2, rel=1e-4)


def test_blur_takes_it_away():
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert sharpness(F.avg_pool2d(noise, 3, 1, 1)) < 0.1 * sharpness(noise)


def test_the_mean_over_frames():
    y, x = np.mgrid[0:10, 0:10]
    clip = np.zeros((2, 10, 10, 3), np.uint8)
    clip[1] = 255 * ((x + y) % 2)[..., None]
    assert sharpness(clip) == pytest.approx(8, rel=1e-5)


def test_two_rows_are_too_few():
    with pytest.raises(InputError, match='9 x 2'):
        sharpness(plain(0.0, size=(2, 9)))
