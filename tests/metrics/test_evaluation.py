import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.metrics import (
    evaluate,
    evaluation,
    flicker,
    image_video_similarity,
    motion,
    psnr,
    sharpness,
    ssim,
    temporal_consistency,
    video_video_similarity,
)
from tests.metrics.clips import mean_colour, moving_texture


def fading(clip):
    """Colours that change, so that every frame has its own embedding."""
    scale = np.linspace(1, 0.3, len(clip))[:, None, None]
    clip = clip.copy()
    clip[..., 0] = clip[..., 0] * scale
    return clip


@pytest.mark.parametrize('count', [3, 16, 17, 18, 35])
def test_pieces_give_what_the_whole_clip_gives(count):
    clip = fading(moving_texture(2, count=count, height=32, width=40))
    source = fading(moving_texture(2, count=count + 1, height=24, width=30, seed=1))
    found = evaluate(open_video(clip), mean_colour, image=Image.fromarray(clip[-1]), source=open_video(source))
    assert (found.width, found.height, found.frames) == (40, 32, count)
    similarity = image_video_similarity(clip[-1:], clip, mean_colour)
    assert found.image_video_similarity == similarity
    assert similarity.first < 0.99
    assert found.temporal_consistency == pytest.approx(temporal_consistency(clip, mean_colour), abs=1e-6)
    whole = motion(clip)
    assert [found.motion.flow, found.motion.difference, found.motion.coherence] == pytest.approx(
        [whole.flow, whole.difference, whole.coherence], rel=1e-5
    )
    assert found.flicker == pytest.approx(flicker(clip), rel=1e-5)
    assert found.sharpness == pytest.approx(sharpness(clip), rel=1e-5)
    assert found.comparison.frames == count
    assert not found.comparison.same_length
    assert found.comparison.similarity == video_video_similarity(source, clip, mean_colour)
    assert found.comparison.psnr == pytest.approx(psnr(source, clip), abs=1e-3)
    assert found.comparison.ssim == pytest.approx(ssim(source, clip), abs=1e-5)


@pytest.mark.parametrize(
    ('count', 'source', 'compared', 'same'),
    [
        (5, 5, 5, True),
        (16, 16, 16, True),
        (5, 3, 3, False),
        (20, 16, 16, False),
        (16, 20, 16, False),
        (33, 2, 2, False),
    ],
)
def test_videos_of_other_lengths_are_compared_as_far_as_both_go(count, source, compared, same):
    frames = moving_texture(1, count=33, height=16, width=16)
    found = evaluate(open_video(frames[:count]), mean_colour, source=open_video(frames[:source])).comparison
    assert (found.frames, found.same_length) == (compared, same)
    assert found.psnr == float('inf')
    assert found.similarity.min == pytest.approx(1)


def test_large_videos_go_frame_by_frame_with_the_same_result(monkeypatch):
    clip = fading(moving_texture(1, count=5, height=24, width=24))
    expected = evaluate(open_video(clip), mean_colour, source=open_video(clip[::-1]))
    monkeypatch.setattr(evaluation, '_PIXELS', 10)
    found = evaluate(open_video(clip), mean_colour, source=open_video(clip[::-1]))
    assert found.motion.flow == pytest.approx(expected.motion.flow)
    assert found.flicker == pytest.approx(expected.flicker)
    assert found.comparison.ssim == pytest.approx(expected.comparison.ssim, abs=1e-5)
    assert found.comparison.psnr == pytest.approx(expected.comparison.psnr, abs=1e-4)


def test_what_a_short_clip_cannot_have_is_none():
    one = evaluate(open_video(moving_texture(1, count=1)), mean_colour)
    assert (one.temporal_consistency, one.motion, one.flicker) == (None, None, None)
    assert (one.image_video_similarity, one.comparison) == (None, None)
    two = evaluate(open_video(moving_texture(1, count=2)), mean_colour)
    assert two.flicker is None
    assert two.motion.flow == pytest.approx(1, rel=0.05)
