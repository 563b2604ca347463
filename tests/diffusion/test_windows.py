from itertools import pairwise

import pytest
import torch

from modelscope_i2v.diffusion import sample_dpmpp_2m, temporal_windows
from modelscope_i2v.diffusion.windows import blend_weights, window_starts
from modelscope_i2v.errors import InputError
from tests.diffusion import gaussian


@pytest.mark.parametrize(
    ('frames', 'window', 'overlap'), [(100, 32, 8), (33, 32, 8), (56, 32, 8), (7, 2, 1), (9, 4, 0)]
)
def test_windows_cover_every_frame_with_the_overlap(frames, window, overlap):
    starts = window_starts(frames, window, overlap)
    covered = {frame for start in starts for frame in range(start, start + window)}
    assert covered == set(range(frames))
    assert all(a + window - b >= overlap for a, b in pairwise(starts))
    weights, total = blend_weights(frames, window, overlap), torch.zeros(frames)
    for start, weight in zip(starts, weights, strict=True):
        assert (weight > 0).all()
        total[start : start + window] += weight
    torch.testing.assert_close(total, torch.ones(frames))
    assert weights[0][0] == 1
    assert weights[-1][-1] == 1


def test_weights_fade_linearly_inside_an_overlap():
    weights = blend_weights(6, 4, 2)
    assert window_starts(6, 4, 2) == [0, 2]
    torch.testing.assert_close(weights[0], torch.tensor([1, 1, 2 / 3, 1 / 3]))
    torch.testing.assert_close(weights[1], torch.tensor([1 / 3, 2 / 3, 1, 1]))


def test_short_videos_are_not_windowed():
    denoiser = gaussian.denoiser
    assert temporal_windows(denoiser, 32, 32, 8) is denoiser
    assert temporal_windows(denoiser, 5, 32, 8) is denoiser


def test_a_denoiser_that_looks_at_single_frames_is_unchanged():
    x = torch.randn(1, 4, 50, 2, 2, generator=torch.Generator().manual_seed(0))
    windowed = temporal_windows(gaussian.denoiser, 50, 16, 4)
    torch.testing.assert_close(windowed(x, 2.0), gaussian.denoiser(x, 2.0))
    sigmas = [2.0, 1.0, 0.5, 0.0]
    expected = sample_dpmpp_2m(gaussian.denoiser, x, sigmas)
    torch.testing.assert_close(sample_dpmpp_2m(windowed, x, sigmas), expected)


def test_windows_are_blended_at_every_step():
    # Each window pulls towards its own value: without blending, the borders would jump by 1.
    def denoiser(x, sigma):
        return torch.zeros_like(x) + x[:, :, :1].mean()

    x = torch.zeros(1, 1, 12, 1, 1)
    x[:, :, 6:] = 1.0
    out = temporal_windows(denoiser, 12, 9, 6)(x, 1.0).flatten()
    assert out.diff().abs().max() < 0.5


def test_no_more_than_a_window_is_ever_shown():
    sizes = []

    def denoiser(x, sigma):
        sizes.append(x.shape[2])
        return x

    temporal_windows(denoiser, 100, 32, 8)(torch.zeros(1, 1, 100, 1, 1), 1.0)
    assert set(sizes) == {32}


@pytest.mark.parametrize('overlap', [-1, 32, 40, 1.5])
def test_impossible_overlaps_are_refused(overlap):
    with pytest.raises(InputError, match='window_overlap'):
        temporal_windows(gaussian.denoiser, 100, 32, overlap)
