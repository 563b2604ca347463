"""The small models of the first generation do what they were trained for, on a few held-out clips.

``python -m benchmarks.first_generation.quality`` measures all of this on more clips. This test notices broken weights.
"""

import pytest
import torch

from benchmarks.first_generation import MODELS
from benchmarks.quality.held_out import judge_clips, large_clip, world_clips
from benchmarks.quality.judging import judge_world_motion
from benchmarks.quality.photographs import judge_photographs, layout_distances, photographs, seen_by_model
from benchmarks.quality.shape_classifier import train_shape_classifier
from benchmarks.quality.stage1 import SAMPLINGS, generate, judge_scenes, judge_stage1, psnr, reconstruct
from benchmarks.quality.stage2 import judge_stage2
from demo_training.world import FIRST_HELD_OUT_SEED as SEED
from demo_training.world import SHARES
from modelscope_i2v import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def stage_1():
    return load(MODELS['image-to-video'], device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def stage_2():
    return load(MODELS['video-to-video'], device='cpu', show_progress=False)


def test_sprites_keep_place_and_colour_and_move(stage_1):
    truth = judge_clips(16, SEED, 16)
    videos = generate(stage_1, truth.clips[:, 0], SAMPLINGS['ddim 20'], SEED)
    found = judge_stage1(videos, truth, train_shape_classifier())
    assert found['sprite present'] > 0.95
    assert found['retrieval, 4x4 layout'] == 1
    assert found['sprite colour error'] < 0.045
    assert found['background error'] < 0.02
    assert found['background temporal std'] < 0.0045
    assert 2 < found['sprite speed'] < 3.7
    assert found['sprite acceleration'] < 2
    assert 0.7 < found['frame change'] < 1.4
    assert found['still clips'] == 0
    assert found['second difference'] < 1.4
    assert found['shape recognised'] > 0.5


def test_all_kinds_of_scenes_move_and_do_not_flicker(stage_1):
    clips = {}
    for kind in SHARES:
        real, videos, found = judge_scenes(stage_1, kind, 4, SEED, SAMPLINGS['dpmpp_2m 15'])
        assert found['retrieval, 4x4 layout'] == 1
        assert found['still clips'] < 0.5
        clips[kind] = (videos, real)
    assert judge_world_motion(clips, SHARES)['second difference'] < 2


def test_photographs_come_back_in_their_own_colours(stage_1):
    pictures = list(photographs().values())[:4]
    videos = generate(stage_1, pictures, {'solver': 'dpmpp_2m', 'steps': 10}, SEED)
    squares = torch.stack([seen_by_model(stage_1, picture) for picture in pictures])
    assert judge_photographs(layout_distances(squares, videos))['own picture is nearest'] == 1


def test_the_autoencoder_is_sharp(stage_1, stage_2):
    for pipeline, size in ((stage_1, 64), (stage_2, 128)):
        frames = world_clips('sprite', range(SEED, SEED + 16), 1, size)[:, 0]
        assert psnr(reconstruct(pipeline.model.autoencoder, frames), frames).mean() > 33


def test_stage_2_is_sharper_than_enlarging_and_keeps_colours(stage_2):
    clips = [large_clip(SEED, index, 8) for index in range(5)]
    columns, _ = judge_stage2(stage_2, clips, 4, SEED)
    assert columns['own text']['PSNR gain, sprite'] > 4
    assert columns['own text']['PSNR gain, landscape'] > 2
    assert columns['own text']['PSNR gain, layout'] > -12
    assert columns['contradicting text']['sprite colour kept'] == 1
