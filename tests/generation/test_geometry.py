import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.geometry import Grid, Placement, keep_aspect, stretch
from tests.golden import DATA

FULL = Grid(height_multiple=64, height_remainder=16, width_multiple=64)
AREA = 720 * 1280


@pytest.mark.parametrize(
    ('width', 'height'), [(1280, 720), (1920, 1080), (854, 480), (640, 360), (16, 9), (3840, 2160)]
)
def test_sixteen_by_nine_is_exactly_the_references_size(width, height):
    assert keep_aspect(width / height, FULL, area=AREA) == Placement(720, 1280, 720, 1280)


@pytest.mark.parametrize(
    ('width', 'height'), [(720, 1280), (512, 512), (640, 480), (1920, 800), (1080, 1920), (2000, 300), (333, 500)]
)
def test_other_aspects_are_kept_within_a_grid_step_near_the_area(width, height):
    placement = keep_aspect(width / height, FULL, area=AREA)
    FULL.check(placement.canvas_height, placement.canvas_width)
    assert placement.canvas_height - placement.height < 64
    assert placement.canvas_width - placement.width < 64
    assert placement.width / placement.height == pytest.approx(width / height, rel=0.01)
    assert 0.8 < placement.width * placement.height / AREA < 1.25
    assert placement.height % 2 == placement.width % 2 == 0


def test_a_given_side_is_exact_and_the_other_follows():
    assert keep_aspect(16 / 9, FULL, area=AREA, height=720) == Placement(720, 1280, 720, 1280)
    assert keep_aspect(4 / 3, FULL, area=AREA, height=720) == Placement(720, 960, 720, 960)
    assert keep_aspect(1.0, FULL, area=AREA, width=640) == Placement(656, 640, 640, 640)


def test_extreme_aspects_stay_legal():
    for aspect in (1e-3, 1e3):
        placement = keep_aspect(aspect, FULL, area=AREA)
        FULL.check(placement.canvas_height, placement.canvas_width)
        assert placement.height >= 2
        assert placement.width >= 2


def test_illegal_sizes_name_the_nearest():
    with pytest.raises(InputError, match=r"'height' must be 16 more than a multiple of 64, found 700.*656 and 720"):
        FULL.check(height=700)
    with pytest.raises(InputError, match=r"'width' must be a multiple of 64, found 1300.*1280 and 1344"):
        FULL.check(width=1300)


def test_placing_continues_the_edges_and_cutting_undoes_it():
    placement = Placement(8, 6, 4, 4)
    frames = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4)
    placed = placement.place(frames)
    assert placed.shape == (1, 3, 8, 6)
    assert torch.equal(placement.cut(placed), frames)
    assert placed[0, 0, 0, 0] == 0
    assert placed[0, 0, 7, 5] == 15


def test_stretching_equals_the_references_resize():
    data = np.load(DATA / 'golden_preprocess_video.npz')
    small = torch.from_numpy(data['small'])
    assert (stretch(24, 40).place(small) - torch.from_numpy(data['small_to_24x40'])).abs().max() < 1e-6


def test_normalised_frames_equal_the_references():
    data = np.load(DATA / 'golden_preprocess_video.npz')
    frames = torch.from_numpy(data['frames_rgb']).permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.5)
    assert (frames - torch.from_numpy(data['tensor'])).abs().max() < 1e-6
