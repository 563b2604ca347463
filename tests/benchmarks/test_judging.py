"""What the benchmark sees in videos whose moves are known."""

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from benchmarks.judging.camera import DIRECTIONS, camera_move
from benchmarks.judging.recognition import recognised, recognition_features
from benchmarks.judging.sprite import sprite_move

SIDE, FRAMES = 128, 8


@pytest.fixture(scope='module')
def photograph():
    return cv2.resize(skimage.data.chelsea()[:, 80:380], (256, 256), interpolation=cv2.INTER_AREA)


def seen(picture, *, right=0.0, down=0.0, zoom=0.0, degrees=0.0):
    """The centre of ``picture`` while what is seen moves by so much per frame."""
    centre = (np.array(picture.shape[1::-1]) - 1) / 2
    frames = []
    for index in range(FRAMES):
        # OpenCV turns against the clock for positive angles.
        matrix = cv2.getRotationMatrix2D(tuple(centre), -degrees * index, (1 + zoom) ** index)
        matrix[:, 2] += np.array([right, down]) * index + (SIDE - 1) / 2 - centre
        frames.append(cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))
    return np.stack(frames)


@pytest.mark.parametrize(
    ('move', 'expected'),
    [
        ({'right': 1.5}, (1.5, 0, 0, 0)),
        ({'down': -0.7}, (0, -0.7, 0, 0)),
        ({'zoom': 0.02}, (0, 0, 0.02, 0)),
        ({'degrees': 1.0}, (0, 0, 0, np.radians(1))),
        ({'right': -1.0, 'zoom': -0.01, 'degrees': -0.5}, (-1, 0, -0.01, np.radians(-0.5))),
        ({}, (0, 0, 0, 0)),
    ],
)
def test_the_camera(move, expected, photograph):
    found = camera_move(seen(photograph, **move))
    right, down, zoom, clockwise = expected
    assert (found.right, found.down) == pytest.approx((right, down), abs=0.1)
    assert (found.zoom, found.clockwise) == pytest.approx((zoom, clockwise), abs=2e-3)


def test_a_sprite_does_not_move_the_camera(photograph):
    frames = seen(photograph, right=1.0)
    for index, frame in enumerate(frames):
        frame[30 + 4 * index : 60 + 4 * index, 40:70] = photograph[:30, :30]
    assert camera_move(frames).right == pytest.approx(1, abs=0.1)
    assert camera_move(frames).down == pytest.approx(0, abs=0.1)


def test_what_texts_ask_for(photograph):
    moves = {
        'zoom in': {'zoom': 0.01}, 'zoom out': {'zoom': -0.01}, 'pan left': {'right': 1}, 'pan right': {'right': -1},
        'pan up': {'down': 1}, 'pan down': {'down': -1}, 'rotate left': {'degrees': 1}, 'rotate right': {'degrees': -1},
    }  # fmt: skip
    for text, move in moves.items():
        found = camera_move(seen(photograph, **move))
        assert [other for other in DIRECTIONS if found.obeys(other)] == [text]
    still = camera_move(seen(photograph))
    assert not any(still.obeys(text) for text in DIRECTIONS)
    assert not any(camera_move(np.full((3, 64, 64, 3), 90, np.uint8)).obeys(text) for text in DIRECTIONS)


def with_sprite(photograph, place, degrees=0.0):
    """Frames of a photograph before which a piece of another one moves, and the mask of the first frame."""
    piece = cv2.resize(skimage.data.astronaut()[:260, 100:360], (48, 48), interpolation=cv2.INTER_AREA)
    frames, masks = [], []
    background = cv2.resize(photograph, (SIDE, SIDE))
    disc = np.hypot(*np.mgrid[-23.5:24, -23.5:24]) < 23
    for index in range(16):
        x, y = place(index)
        turn = cv2.getRotationMatrix2D((23.5, 23.5), -degrees * index, 1)
        turn[:, 2] += (x, y)
        moved, where = (cv2.warpAffine(layer, turn, (SIDE, SIDE)) for layer in (piece, disc.astype(np.float32)))
        frames.append(np.where(where[..., None] > 0.5, moved, background))
        masks.append(where > 0.5)
    return np.stack(frames), masks[0]


@pytest.mark.parametrize(
    ('place', 'degrees', 'spins', 'bounces'),
    [
        (lambda _: (40, 40), 22.5, True, False),
        (lambda _: (40, 40), -6, True, False),
        (lambda index: (40, 40 - 12 * abs(np.sin(index * np.pi / 8))), 0, False, True),
        (lambda index: (20 + 3 * index, 40), 0, False, False),
        (lambda index: (40, 70 - 3 * index), 0, False, False),
        (lambda _: (40, 40), 0, False, False),
    ],
    ids=['spins', 'spins left', 'bounces', 'drifts', 'rises', 'still'],
)
def test_a_sprite(place, degrees, spins, bounces, photograph):
    move = sprite_move(*with_sprite(photograph, place, degrees))
    assert (move.spins, move.bounces) == (spins, bounces)
    assert move.turned[-1] == pytest.approx(15 * degrees, abs=8)
    expected = np.array([place(index) for index in range(16)], dtype=float)
    assert np.abs(move.path - (expected - expected[0])).max() < 1.5


def test_pictures_are_recognised():
    names = ('chelsea', 'coffee', 'rocket', 'astronaut')
    pictures = [torch.from_numpy(cv2.resize(getattr(skimage.data, name)(), (128, 128))) for name in names]
    whole = torch.stack(pictures).permute(0, 3, 1, 2) / 255
    features = recognition_features(whole)
    assert features.shape == (4, 1280)
    assert torch.allclose(features.norm(dim=1), torch.ones(4))
    closer = recognition_features(whole[:, :, 10:110, 14:114])
    assert recognised(features, closer) == 1
    assert recognised(features, closer.roll(1, 0)) == 0  # the wrong videos
    assert recognised(features, features[:1].expand(4, -1)) == 0.25
    assert np.isnan(recognised(features[:1], features[:1]))


def test_pictures_of_the_same_thing_are_not_taken_for_others():
    pictures = torch.eye(4)
    frames = 0.4 * pictures + pictures[[1, 1, 2, 2]]  # the first looks like the second, and the last like the third
    assert recognised(pictures, frames) == 0.5
    assert recognised(pictures, frames, ['sky', 'sky', 'cat', 'dog']) == 0.75
    assert recognised(pictures, frames, group=2) == 0.75  # the last has only the first to be taken for
    assert np.isnan(recognised(pictures, frames, ['sky'] * 4))
