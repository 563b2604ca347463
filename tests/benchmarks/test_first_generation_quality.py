"""The measures of the benchmark on clips with known values: real clips, and real clips spoilt on purpose."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.first_generation.quality import parse
from benchmarks.judging.retrieval import retrieval
from benchmarks.quality.held_out import as_uint8, as_video, judge_clips, large_clip
from benchmarks.quality.judging import (
    centroids,
    dilate,
    judge_sprites,
    judge_world_motion,
    segment,
    sprite_motion,
)
from benchmarks.quality.photographs import judge_photographs, layout_distances, nearest_pictures
from benchmarks.quality.report import misses, table, write_json
from benchmarks.quality.retrieval import distances, judge_retrieval
from benchmarks.quality.shape_classifier import judge_shapes, train_shape_classifier
from benchmarks.quality.sheets import MAX_BYTES, contact_sheet, save_sheet
from benchmarks.quality.stage1 import judge_stage1, psnr
from benchmarks.quality.stage2 import degrade, judge_output, mean_measures, with_world_gain
from tests.data import embedded_world

SEED = 1_700_000
SECTION = 'Stage 1, sprites'


@pytest.fixture(scope='module')
def truth():
    return judge_clips(16, SEED, 8)


def missed(videos, truth):
    """Names of the measures that are out of range."""
    lines = misses(SECTION, {'this': judge_stage1(videos, truth, classifier=None)})
    return {name for line in lines for name in [line.removeprefix('this: ').rpartition(' ')[0]]}


def test_real_clips_reach_everything(truth):
    measures = judge_stage1(truth.clips, truth, classifier=None)
    assert missed(truth.clips, truth) == set()
    assert measures['frame change'] == measures['second difference'] == measures['sprite present'] == 1
    assert measures['retrieval, colour histogram'] == measures['retrieval, 4x4 layout'] == 1
    assert measures['sprite colour error'] < 0.005
    assert measures['background error'] < 0.0015  # 8 bits
    assert measures['background temporal std'] < 1e-6
    assert measures['still clips'] == 0


def test_real_sprites_are_as_fast_as_the_specification_says():
    clips = judge_clips(64, 1_000_000, 8)
    measures = judge_sprites(clips.clips, clips)
    assert measures['sprite speed'] == pytest.approx(2.7, abs=0.1)
    assert measures['sprite acceleration'] == pytest.approx(1.1, abs=0.1)


def test_a_segmented_sprite_is_where_the_generator_put_it(truth):
    masks = segment(truth.clips, truth)
    known = embedded_world.sample(16, SEED, F=8)[1]['mask'] > 0.5
    union = (masks | known).sum(dim=(2, 3))
    assert ((masks & known).sum(dim=(2, 3)) / union).min() > 0.9


def test_a_frozen_clip_does_not_move(truth):
    frozen = truth.clips[:, :1].expand_as(truth.clips)
    assert missed(frozen, truth) == {'frame change', 'sprite speed'}
    assert judge_sprites(frozen, truth)['still clips'] == 1


def test_a_few_frozen_clips_are_counted(truth):
    videos = truth.clips.clone()
    videos[:4] = videos[:4, :1]
    assert judge_sprites(videos, truth)['still clips'] == 4 / 16


def test_shuffled_frames_jump(truth):
    shuffled = truth.clips[:, [3, 0, 6, 1, 7, 2, 5, 4]]
    found = missed(shuffled, truth)
    assert {'sprite speed', 'sprite acceleration'} <= found
    assert not any('retrieval' in name or 'error' in name for name in found)


def test_flicker_is_caught(truth):
    flickering = truth.clips + 0.02 * torch.tensor([1.0, -1.0]).repeat(4).view(1, 8, 1, 1, 1)
    measures = judge_sprites(flickering, truth)
    assert measures['background temporal std'] == pytest.approx(0.02, abs=1e-3)
    assert {'background temporal std', 'second difference'} <= missed(flickering, truth)


def test_a_clip_without_its_sprite_is_caught(truth):
    empty = truth.background[:, None].expand_as(truth.clips)
    assert {'sprite present', 'frame change'} <= missed(empty, truth)
    assert math.isnan(judge_sprites(empty, truth)['sprite colour error'])


def test_errors_of_colours_are_measured_apart(truth):
    masks = segment(truth.clips, truth)
    brighter = truth.clips + 0.06 * masks[:, :, None]
    measures = judge_sprites(brighter, truth)
    assert measures['sprite colour error'] == pytest.approx(0.06, abs=0.006)
    assert measures['background error'] < 0.0015
    measures = judge_sprites(truth.clips + 0.05 * ~masks[:, :, None], truth)
    assert measures['background error'] == pytest.approx(0.05, abs=0.001)
    assert measures['sprite colour error'] < 0.01


def test_another_video_is_not_retrieved(truth):
    measures = judge_retrieval(truth.clips[:, 0], truth.clips.roll(1, dims=0))
    assert set(measures.values()) == {0.0}


def test_an_equally_near_video_does_not_count():
    assert retrieval(torch.ones(4, 4)) == 0
    assert retrieval(1 - torch.eye(4)) == 1
    half = torch.eye(4)[[0, 1, 3, 2]]
    assert retrieval(distances(torch.eye(4), half)) == retrieval(distances(torch.eye(4), half), group=2) == 0.5


def test_motion_of_a_square():
    masks = torch.zeros(1, 4, 16, 16, dtype=torch.bool)
    for frame, (x, y) in enumerate([(2, 3), (5, 7), (8, 11), (8, 11)]):
        masks[0, frame, y - 1 : y + 2, x - 1 : x + 2] = True
    assert centroids(masks)[0, 1].tolist() == [5, 7]
    speed, acceleration = sprite_motion(masks)
    assert float(speed) == pytest.approx((5 + 5 + 0) / 3)
    assert float(acceleration) == pytest.approx((0 + 5) / 2)
    assert dilate(masks[:, :1], 1).sum() == 25


def test_psnr_of_a_constant_error():
    video = torch.full((2, 3, 4, 4), 0.5)
    assert psnr(video + 0.1, video).tolist() == pytest.approx([20, 20], abs=1e-4)


def test_a_perfect_stage2_gains_and_keeps_the_sprite():
    clip = large_clip(SEED, 0, 3)
    source = degrade(clip.video)
    perfect, nothing = judge_output(clip, source, clip.video), judge_output(clip, source, source)
    assert perfect['PSNR gain, sprite'] == math.inf
    assert nothing['PSNR gain, sprite'] == 0
    assert perfect['silhouette overlap'] == 1
    assert perfect['sprite colour kept'] == 1
    assert perfect['sprite colour error'] == perfect['8x8 layout error'] == 0
    assert 0.7 < nothing['silhouette overlap'] < 0.99


def test_a_stage2_that_follows_the_text_is_caught():
    clip = large_clip(SEED, 0, 3)
    other = clip.contradiction()
    obeyed = as_video(other.render(torch.arange(3).double().numpy(), 128))
    measures = judge_output(clip, degrade(clip.video), obeyed)
    assert other.caption != clip.text
    assert measures['sprite colour kept'] == 0
    assert measures['PSNR gain, sprite'] < 0


def test_clips_of_stage2_are_a_mixture():
    clips = [large_clip(SEED, index, 1, size=32) for index in range(10)]
    assert [clip.kind for clip in clips].count('sprite') == 6
    assert {clip.kind for clip in clips} == {'sprite', 'landscape', 'layout'}
    assert all((clip.sprite is not None) == (clip.kind == 'sprite') for clip in clips)


def test_means_are_over_the_clips_that_have_a_measure():
    assert mean_measures([{'a': 1.0, 'b': 4.0}, {'a': 3.0}]) == {'a': 2.0, 'b': 4.0}


def test_photographs_are_told_apart():
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    pictures = pictures * torch.tensor([0.2, 0.6, 1.0]).view(3, 1, 1, 1)
    videos = pictures[:, None].repeat(1, 4, 1, 1, 1)
    names = ['a', 'b', 'c']
    right = layout_distances(pictures, videos)
    assert judge_photographs(right)['own picture is nearest'] == 1
    assert judge_photographs(right)['distance to own picture'] == pytest.approx(0, abs=1e-6)
    wrong = layout_distances(pictures, videos[[0, 2, 1]])
    assert nearest_pictures(wrong, names) == {'a': 'a', 'b': 'c', 'c': 'b'}
    assert judge_photographs(wrong)['own picture is nearest'] == pytest.approx(1 / 3)


def test_report_marks_what_was_missed(tmp_path):
    columns = {'real clips': {'sprite speed': 9.0}, 'ddim 50': {'sprite speed': 0.1, 'frame change': 1.0}}
    assert misses(SECTION, columns) == ['ddim 50: sprite speed 0.1']
    lines = table(SECTION, columns).splitlines()
    assert '| sprite speed | 2 to 3.5 | 9.0000 | 0.1000 (!) |' in lines
    assert '| frame change | 0.7 to 1.4 |  | 1.0000 |' in lines
    write_json(tmp_path / 'quality.json', {'count': 1}, {SECTION: {'a': {'sprite speed': math.nan}}})
    content = json.loads((tmp_path / 'quality.json').read_text())
    assert content['sections'][SECTION]['a']['sprite speed'] is None
    assert list(content['misses']) == [SECTION]  # not a number is not in range


def test_sheets_show_the_frames_and_stay_small(tmp_path):
    frames = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    sheet = contact_sheet(('input',), [('disc', frames)] * 8)
    assert sheet.size == (96 + 6 * 66, 16 + 8 * 66)
    assert sheet.getpixel((96 + 66 + 2, 16 + 66 + 1)) == tuple(as_uint8(frames[1])[1, 2])
    assert contact_sheet((), [('disc', frames)], scale=2).size == (96 + 6 * 130, 16 + 130)
    save_sheet(sheet, tmp_path / 'folder' / 'sheet.jpg')
    assert (tmp_path / 'folder' / 'sheet.jpg').stat().st_size <= MAX_BYTES
    assert Image.open(tmp_path / 'folder' / 'sheet.jpg').size == sheet.size
    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64)
    sheet = contact_sheet(('input',), [('disc', [ramp] * 6)] * 8)
    save_sheet(sheet, tmp_path / 'folder' / 'sheet.jpg')
    assert (tmp_path / 'folder' / 'sheet.jpg').stat().st_size < 100_000
    saved = np.asarray(Image.open(tmp_path / 'folder' / 'sheet.jpg'), dtype=float)
    assert abs(saved - np.asarray(sheet))[20:, 100:].mean() < 2


@pytest.mark.parametrize('seed', ['999999', '1999990'])
def test_seeds_that_were_trained_on_are_refused(seed, capsys):
    with pytest.raises(SystemExit):
        parse(['--seed', seed, '--count', '64'])
    assert '--seed must be at least 1000000' in capsys.readouterr().err


@pytest.mark.slow
def test_shapes_of_real_clips_are_recognised_and_wrong_ones_are_not():
    classifier = train_shape_classifier()
    assert classifier.accuracy >= 0.95
    truth = judge_clips(64, SEED, 8)
    measures = judge_stage1(truth.clips, truth, classifier)
    assert measures['shape recognised'] >= 0.95
    assert misses(SECTION, {'real': measures}) == []
    wrong = judge_shapes(classifier, truth.clips, (truth.shape + 1) % 8)
    assert wrong['shape recognised'] < 0.05
    blobs = judge_shapes(
        classifier,
        torch.nn.functional.avg_pool2d(truth.clips.flatten(0, 1), 8)
        .repeat_interleave(8, 2)
        .repeat_interleave(8, 3)
        .view_as(truth.clips),
        truth.shape,
    )
    assert blobs['shape recognised'] < 0.5


def test_kinds_of_clips_count_as_often_as_the_world_has_them():
    gains = {'PSNR gain, sprite': 5.0, 'PSNR gain, landscape': 3.0, 'PSNR gain, layout': -8.0}
    assert with_world_gain(gains)['PSNR gain, world'] == pytest.approx(0.6 * 5 + 0.15 * 3 - 0.25 * 8)
    assert 'PSNR gain, world' not in with_world_gain({'PSNR gain, sprite': 5.0})
    ramp = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 2, 2) / 10
    bend = ramp.square()  # second difference 0.02
    shares = {'a': 0.75, 'b': 0.25}
    found = judge_world_motion({'a': (bend, bend), 'b': (3 * bend, bend)}, shares)
    assert found['second difference'] == pytest.approx(1.5)
    assert found['frame change'] == pytest.approx(1.5)
