import math
import sys

import pytest
import torch
from torch.nn import functional as F

from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.metrics import psnr, ssim
from tests.metrics.clips import moving_texture, plain


def test_psnr_of_a_known_error():
    assert psnr(plain(0.5, 0.5), plain(0.6, 0.4)) == pytest.approx(20, abs=1e-4)
    assert psnr(plain(0.0), plain(1.0)) == pytest.approx(0, abs=1e-6)
    # One value in dB for the whole clip, not the mean over frames, one of which is infinite here.
    assert psnr(plain(0.5, 0.5), plain(0.6, 0.5)) == pytest.approx(20 + 10 * math.log10(2), abs=1e-4)


def test_equal_clips():
    clip = moving_texture(2)
    assert psnr(clip, clip) == math.inf
    assert ssim(clip, clip) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(('a', 'b'), [(0.5, 0.6), (0.0, 1.0), (0.2, 0.9)])
def test_ssim_of_flat_frames_is_their_luminance_term(a, b):
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim(plain(a), plain(b)) == pytest.approx(expected, abs=1e-4)


def test_ssim_of_a_negative_is_negative():
    clip = moving_texture(0, count=1)
    assert ssim(clip, 255 - clip) < -0.3


def test_the_larger_video_is_reduced_to_the_smaller():
    small = torch.from_numpy(moving_texture(1)).permute(0, 3, 1, 2) / 255
    large = F.interpolate(small, scale_factor=2, mode='bilinear')
    assert psnr(small, large) == psnr(large, small)
    assert psnr(small, large) > 40
    assert ssim(small, large) > 0.99
    assert psnr(plain(0.5, size=(12, 40)), plain(0.6, size=(30, 16))) == pytest.approx(20, abs=1e-4)


def test_the_rest_of_the_longer_video_does_not_count():
    assert psnr(plain(0.5, 0.9), plain(0.6)) == pytest.approx(20, abs=1e-4)


def test_ssim_needs_room_for_its_window():
    with pytest.raises(InputError, match='16 x 10'):
        ssim(plain(0.5, size=(10, 16)), plain(0.5, size=(20, 20)))
    assert ssim(plain(0.5, size=(11, 11)), plain(0.5, size=(11, 11))) == pytest.approx(1)


@pytest.mark.parametrize('measure', [psnr, ssim])
def test_without_torchmetrics_it_says_what_to_install(measure, monkeypatch):
    for name in ('torchmetrics', 'torchmetrics.image'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"Run pip install '\.\[train\]' in a clone of modelscope_i2v"):
        measure(plain(0.5), plain(0.5))
