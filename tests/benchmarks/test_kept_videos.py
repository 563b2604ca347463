"""Generated videos are kept without loss, and only for what they were made from."""

import numpy as np
import pytest

from benchmarks.judging.kept_videos import KeptVideos

PICTURE = np.zeros((4, 4, 3), np.uint8)


def never():
    pytest.fail('This video is kept already.')


def test_a_kept_video_comes_back_unchanged_without_being_made_again(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    KeptVideos(tmp_path / 'new', 'model').video(PICTURE, 'spin', 1, lambda: frames)
    again = KeptVideos(tmp_path / 'new', 'model').video(PICTURE, 'spin', 1, never)
    assert again.dtype == np.uint8
    assert np.array_equal(again, frames)


@pytest.mark.parametrize(
    ('model', 'picture', 'text', 'seed'),
    [
        ('other', PICTURE, 'spin', 1),
        ('model', PICTURE + 1, 'spin', 1),
        ('model', PICTURE.reshape(2, 8, 3), 'spin', 1),
        ('model', PICTURE, 'bounce', 1),
        ('model', PICTURE, 'spin', 2),
    ],
)
def test_another_model_picture_text_or_seed_gets_its_own_video(tmp_path, model, picture, text, seed):
    first, second = np.zeros((2, 4, 4, 3), np.uint8), np.ones((2, 4, 4, 3), np.uint8)
    KeptVideos(tmp_path, 'model').video(PICTURE, 'spin', 1, lambda: first)
    assert np.array_equal(KeptVideos(tmp_path, model).video(picture, text, seed, lambda: second), second)


def test_an_interrupted_video_is_not_kept(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KeptVideos(tmp_path, 'model').video(PICTURE, '', 0, interrupted)
    assert not list(tmp_path.iterdir())
