"""NumPy arrays (BGR, as in ModelScope) and torch tensors (RGB, 0..1)."""

import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.images.load import load_image

BGRA = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def rgb(source):
    image = load_image(source)
    assert image.mode == 'RGB'
    return np.asarray(image)


def test_arrays_are_bgr_and_left_alone():
    kept = BGRA.copy()
    bgr = np.ascontiguousarray(BGRA[..., :3])
    np.testing.assert_array_equal(np.asarray(load_image(BGRA, None)), BGRA[..., [2, 1, 0]])
    np.testing.assert_array_equal(rgb(bgr), BGRA[..., [2, 1, 0]])
    np.testing.assert_array_equal(rgb(bgr[::-1, ::-1]), BGRA[::-1, ::-1, [2, 1, 0]])
    np.testing.assert_array_equal(BGRA, kept)


def test_arrays_of_one_channel_are_gray():
    gray = BGRA[..., 0]
    for source in (gray, gray[..., None], np.asfortranarray(gray)):
        np.testing.assert_array_equal(rgb(source), np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize('array', [BGRA[..., :3].copy(), BGRA[..., 0].copy()])
def test_the_image_does_not_share_the_arrays_memory(array):
    image = load_image(array)
    before = np.asarray(image).copy()
    array[:] = 255
    np.testing.assert_array_equal(np.asarray(image), before)


@pytest.mark.parametrize(
    ('array', 'told'),
    [
        (np.zeros((4, 4, 3), np.float32), 'uint8.*float32'),
        (np.zeros((4, 4, 3), np.int16), 'uint16 .*found int16'),
        (np.zeros((4, 4, 3), bool), 'bool'),
        (np.zeros((3, 4, 5), np.uint8), r'\[3, 4, 5\]'),
        (np.zeros((4, 4, 2), np.uint8), r'\[4, 4, 2\]'),
        (np.zeros(4, np.uint8), r'\[4\]'),
        (np.zeros((), np.uint8), r'\[\]'),
        (np.zeros((1, 4, 4, 3), np.uint8), r'\[1, 4, 4, 3\]'),
        (np.zeros((0, 4, 3), np.uint8), 'no pixels'),
        (np.zeros((0, 0), np.uint8), 'no pixels'),
        (np.array([['a']], object), 'object'),
    ],
)
def test_bad_arrays(array, told):
    with pytest.raises(InputError, match=told):
        load_image(array)


def test_every_level_survives_a_tensor_in_any_precision():
    levels = torch.arange(256).reshape(1, 16, 16).expand(3, -1, -1)
    expected = levels.permute(1, 2, 0).numpy()
    for dtype in (torch.float32, torch.float64, torch.float16):
        np.testing.assert_array_equal(rgb((levels / 255).to(dtype)), expected)


def test_tensors_are_rgb_rounded_and_left_alone():
    tensor = torch.tensor([0.0, 0.5, 1.0])[:, None, None].repeat(1, 2, 3).requires_grad_()
    for source in (tensor, tensor[None], torch.cat([tensor, tensor[2:]])):
        np.testing.assert_array_equal(rgb(source)[0, 0], [0, 128, 255])
    hidden = torch.cat([tensor, tensor[:1]])  # alpha is 0
    np.testing.assert_array_equal(np.asarray(load_image(hidden, None))[0, 0], [0, 128, 255])
    np.testing.assert_array_equal(rgb(hidden)[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(rgb(torch.full((1, 2, 3), 0.4))[1, 2], [102, 102, 102])
    assert tensor[1].unique().item() == 0.5


def test_tensors_slightly_out_of_range_are_clamped():
    tensor = torch.tensor([-0.0009, 0.5, 1.0009])[:, None, None]
    kept = tensor.clone()
    np.testing.assert_array_equal(rgb(tensor)[0, 0], [0, 128, 255])
    assert torch.equal(tensor, kept)


@pytest.mark.parametrize(
    ('tensor', 'told'),
    [
        (torch.zeros(3, 4, 4, dtype=torch.int32), 'uint8 or uint16, found torch.int32'),
        (torch.zeros(4, 4), r'\[4, 4\]'),
        (torch.zeros(8, 5, 3), r'permute'),
        (torch.zeros(2, 4, 4), r'\[2, 4, 4\]'),
        (torch.zeros(2, 3, 4, 4), r'\[2, 3, 4, 4\]'),
        (torch.zeros(3, 0, 4), 'no pixels'),
        (torch.full((3, 4, 4), float('nan')), 'NaN'),
        (torch.full((3, 4, 4), float('inf')), 'infinite'),
        (torch.full((3, 4, 4), 255.0), '255..255'),
        (torch.full((3, 4, 4), -1.0), '-1..-1'),
        (torch.full((3, 4, 4), 1.002), 'must lie in 0..1'),
    ],
)
def test_bad_tensors(tensor, told):
    with pytest.raises(InputError, match=told):
        load_image(tensor)
