import math

import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.metrics import Similarity, image_video_similarity, temporal_consistency, video_video_similarity
from tests.metrics.clips import GREEN, RED, YELLOW, mean_colour, plain

HALF = math.sqrt(0.5)


def near(similarity, mean, minimum, first):
    assert [similarity.mean, similarity.min, similarity.first] == pytest.approx([mean, minimum, first], abs=1e-6)


def test_a_picture_and_itself_frozen():
    near(image_video_similarity(plain(RED), plain(RED, RED, RED), mean_colour), 1, 1, 1)


def test_mean_min_and_first_of_known_angles():
    near(image_video_similarity(plain(RED), plain(YELLOW, RED, GREEN), mean_colour), (HALF + 1) / 3, 0, HALF)


def test_the_picture_may_have_another_size():
    near(image_video_similarity(plain(RED, size=(5, 7)), plain(RED, YELLOW), mean_colour), (1 + HALF) / 2, HALF, 1)


def test_opposite_embeddings():
    def encoder(frames):
        return mean_colour(frames)[:, :1] - 0.5

    near(image_video_similarity(plain(1.0), plain(0.0, 1.0), encoder), 0, -1, -1)


def test_videos_are_compared_frame_by_frame():
    near(video_video_similarity(plain(RED, GREEN), plain(RED, GREEN, size=(24, 32)), mean_colour), 1, 1, 1)
    near(video_video_similarity(plain(RED, GREEN), plain(GREEN, GREEN), mean_colour), 0.5, 0, 0)


def test_the_rest_of_the_longer_video_does_not_count():
    near(video_video_similarity(plain(RED, GREEN, RED), plain(RED), mean_colour), 1, 1, 1)
    near(video_video_similarity(plain(RED), plain(RED, GREEN), mean_colour), 1, 1, 1)


def test_consistency_is_the_mean_over_neighbours():
    assert temporal_consistency(plain(RED, RED, RED), mean_colour) == pytest.approx(1)
    assert temporal_consistency(plain(RED, GREEN, RED), mean_colour) == pytest.approx(0)
    assert temporal_consistency(plain(RED, RED, YELLOW, GREEN), mean_colour) == pytest.approx((1 + 2 * HALF) / 3)


def test_long_clips_pass_the_encoder_in_pieces_in_order():
    sizes = []

    def encoder(frames):
        sizes.append(len(frames))
        return mean_colour(frames)

    clip = plain(*[(0.0, 1.0, 0.0)] * 39, RED)
    near(image_video_similarity(plain(RED), clip, encoder), 1 / 40, 0, 0)
    assert max(sizes) <= 16
    assert sum(sizes) == 41


def test_bad_input_is_named():
    with pytest.raises(InputError, match='one picture, found 2'):
        image_video_similarity(plain(RED, RED), plain(RED), mean_colour)
    with pytest.raises(InputError, match='at least 2 frames, found 1'):
        temporal_consistency(plain(RED), mean_colour)
    with pytest.raises(InputError, match=r'\[1, D\], found \[1, 3, 12, 16\]'):
        image_video_similarity(plain(RED), plain(RED), lambda frames: frames)


def test_similarity_of_cosines():
    near(Similarity.of(torch.tensor([0.5, -0.25, 0.5])), 0.25, -0.25, 0.5)
