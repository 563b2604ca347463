import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import write_video
from modelscope_i2v.metrics import motion
from modelscope_i2v.metrics.optical_flow import optical_flow, warp_back
from tests.metrics.clips import moving_texture, plain


@pytest.mark.parametrize('step', [1, 2, 3, 5])
def test_a_texture_that_moves_by_whole_pixels(step):
    clip = moving_texture(step)
    found = motion(clip)
    assert found.flow == pytest.approx(step, rel=0.02)
    assert found.coherence > 0.9
    assert found.difference == pytest.approx(np.abs(np.diff(clip.astype(float), axis=0)).mean() / 255, rel=1e-5)
    assert not found.frozen


def test_the_flow_points_where_things_go():
    clip = moving_texture(3)[..., 0]
    flow = optical_flow(clip[0], clip[1])
    assert np.median(flow[..., 0]) == pytest.approx(-3, abs=0.05)
    assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.05)
    down = optical_flow(np.ascontiguousarray(clip[1].T), np.ascontiguousarray(clip[0].T))
    assert np.median(down[..., 1]) == pytest.approx(3, abs=0.05)


def test_warping_back_undoes_a_known_flow():
    clip = moving_texture(4).astype(np.float32)[..., 0]
    flow = np.zeros((*clip.shape[1:], 2), np.float32)
    flow[..., 0] = -4
    # The four columns at the left have moved out of the frame; the border replaces them.
    assert np.array_equal(warp_back(clip[1], flow)[:, 4:], clip[0][:, 4:])


def test_a_frozen_clip_has_none():
    found = motion(moving_texture(0))
    assert (found.flow, found.difference, found.coherence) == (0, 0, 0)
    assert found.frozen


@pytest.mark.parametrize('clip', [plain(0.0, 1.0, 0.0, 1.0), plain(*[index / 8 for index in range(9)])])
def test_light_that_changes_is_no_motion_and_not_frozen(clip):
    found = motion(clip)
    assert found.flow == 0
    assert found.coherence == 0
    assert found.difference == pytest.approx(float((clip[1] - clip[0]).abs().mean()))
    assert not found.frozen


def test_noise_moves_without_coherence():
    noise = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = motion(noise)
    assert found.difference == pytest.approx(1 / 3, abs=0.01)  # of two uniform variables
    assert found.coherence < 0.3


def test_a_small_thing_that_moves_over_a_still_ground_is_not_frozen():
    clip = torch.full((6, 3, 64, 64), 0.4)
    for index in range(6):
        clip[index, :, 30:36, 10 + index : 16 + index] = 1
    found = motion(clip)
    assert found.difference == pytest.approx(2 * 6 * 0.6 / 64**2, rel=1e-4)
    assert not found.frozen


def test_a_frozen_clip_out_of_a_codec_cannot_win(tmp_path):
    def written(frames):
        path = write_video(iter(frames), tmp_path / 'clip.mp4', fps=8, crf=28)
        return np.stack([frame.pixels for frame in open_video(path).frames()])

    still, moves = motion(written(moving_texture(0))), motion(written(moving_texture(2)))
    assert still.frozen
    assert still.difference > 0, 'the codec must change something, otherwise this test is meaningless'
    assert not moves.frozen
    assert moves.coherence > 0.8 > 0.2 > still.coherence


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (2, 2), (5, 40)])
def test_tiny_frames(size):
    assert motion(plain(0.0, 1.0, size=size)).difference == 1


def test_one_frame_is_too_few():
    with pytest.raises(InputError, match='at least 2 frames, found 1'):
        motion(plain(0.0))
