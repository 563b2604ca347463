"""The embedded second generation does what it was trained for, on a few pictures that it has never seen.

``python -m benchmarks.embedded_quality`` measures more, on more pictures. This test notices broken weights. The emoji
in ``tests/data/emoji`` are Fluent Emoji (Microsoft, MIT).
"""

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from benchmarks.judging.amount_of_motion import mean_difference
from benchmarks.judging.camera import DIRECTIONS, camera_move
from benchmarks.judging.recognition import recognised, recognition_features
from model_card.pictures.strips import square
from modelscope_i2v import embedded_model, load
from modelscope_i2v.metrics import as_frames, psnr

pytestmark = pytest.mark.slow

EMOJI = sorted((Path(__file__).parent / 'data' / 'emoji').glob('*.png'))
PHOTOGRAPHS = ('chelsea', 'astronaut', 'coffee', 'rocket')
SIDE = 128


@pytest.fixture(scope='module')
def model():
    return load(embedded_model('image-to-video'), device='cpu', dtype='fp32', show_progress=False)


@pytest.fixture(scope='module')
def photographs():
    return [square(Image.fromarray(getattr(skimage.data, name)())).resize((SIDE, SIDE)) for name in PHOTOGRAPHS]


@pytest.fixture(scope='module')
def pictures(photographs):
    """Emoji over smooth colours and over photographs, then the photographs; uint8 ``[12, 128, 128, 3]``."""
    found = []
    for number, path in enumerate(EMOJI):
        background = (
            photographs[number // 2] if number % 2 else Image.new('RGB', (SIDE, SIDE), f'hsl({45 * number},60%,60%)')
        )
        emoji, background = Image.open(path).resize((96, 96)), background.copy()
        background.paste(emoji, (16, 16), emoji)
        found.append(background)
    return np.stack([np.asarray(picture) for picture in (*found, *photographs)])


@pytest.fixture(scope='module')
def videos(model, pictures):
    return np.stack([_video(model, picture, seed=seed) for seed, picture in enumerate(pictures)])


def test_videos_begin_with_their_pictures(pictures, videos):
    found = [psnr(picture[None], video[:1]) for picture, video in zip(pictures, videos, strict=True)]
    assert np.mean(found[: len(EMOJI)]) > 22
    assert np.mean(found[len(EMOJI) :]) > 22


# The goal is 0.95, and a quarter of the motion for 'still'. The card has what was measured on more pictures.
@pytest.mark.parametrize(('number', 'least'), [(0, 0.9), (7, 0.7), (15, 0.7)])
def test_frames_still_show_their_pictures(pictures, videos, number, least):
    features = [recognition_features(as_frames(frames)) for frames in (pictures, videos[:, number])]
    assert recognised(*features) > least


def test_texts_move_the_camera(model, photographs):
    obeyed = [
        camera_move(_video(model, np.asarray(photograph), text)).obeys(text)
        for photograph in photographs
        for text in DIRECTIONS
    ]
    assert np.mean(obeyed) > 0.9


def test_still_moves_much_less(model, photographs, videos):
    still = [_video(model, np.asarray(photograph), 'still') for photograph in photographs]
    assert mean_difference(still) < 0.3 * mean_difference(videos[len(EMOJI) :])


def _video(model, picture, text='', seed=0):
    return model(Image.fromarray(picture), text=text, seed=seed, output_type='np')['output_video']
