"""The weights that come with the package: what they were trained for, on a few held-out clips.

``python -m benchmarks.embedded_quality`` measures all of it, on more clips; this notices weights that went wrong.
"""

import pytest
import torch

from benchmarks.quality.held_out import judge_clips, large_clip, world_clips
from benchmarks.quality.photographs import judge_photographs, layout_distances, photographs, seen_by_model
from benchmarks.quality.stage1 import SAMPLINGS, generate, judge_stage1, psnr, reconstruct
from benchmarks.quality.stage2 import judge_stage2
from modelscope_i2v import embedded_model, load
from modelscope_i2v.training.world import FIRST_HELD_OUT_SEED as SEED

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def stage_1():
    return load(embedded_model('image-to-video'), device='cpu', show_progress=False)


@pytest.fixture(scope='module')
def stage_2():
    return load(embedded_model('video-to-video'), device='cpu', show_progress=False)


def test_sprites_keep_place_and_colour_and_move(stage_1):
    truth = judge_clips(12, SEED, 16)
    found = judge_stage1(generate(stage_1, truth.clips[:, 0], SAMPLINGS['ddim 20'], SEED), truth, classifier=None)
    assert found['sprite present'] > 0.95
    assert found['retrieval, 4x4 layout'] == 1
    assert found['sprite colour error'] < 0.06
    assert found['background error'] < 0.035
    assert 2 < found['sprite speed'] < 4
    assert found['still clips'] == 0
    assert found['second difference'] < 2


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
    clips = [clip for clip in (large_clip(SEED, index, 8) for index in range(8)) if clip.kind == 'sprite'][:4]
    columns, _ = judge_stage2(stage_2, clips, 4, SEED)
    assert columns['own text']['PSNR gain'] > 1.5
    assert columns['contradicting text']['sprite colour kept'] == 1
