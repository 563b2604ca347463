"""Videos of any size: aspect, borders, legal sizes."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from tests.calls import CLIP, VIDEO, latents_of
from tests.media.clips import gradient, record

SIZES = [(1280, 720), (720, 720), (480, 640), (800, 1920), (720, 1280), (2160, 3840), (719, 1281), (300, 100)]


def textured(height, width):
    """One bright frame without black: a change of brightness at its borders would show."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([150 + 60 * np.sin(x / 40), 150 + 60 * np.cos(y / 30), 0 * x + 150], -1).astype(np.uint8)[None]


@pytest.fixture(scope='module')
def full_size(tmp_path_factory):
    """The preprocessor of a folder like those on the hub."""
    from modelscope_i2v import VideoToVideoPreprocessor

    folder = tmp_path_factory.mktemp('hub')
    weights = {'ckpt_unet': 'a.pth', 'ckpt_clip': 'b.bin', 'ckpt_autoencoder': 'c.ckpt'}
    model = {'type': 'video-to-video-model', 'model_args': weights, 'model_cfg': {'max_frames': 32, 'latent_hei': 32}}
    (folder / 'configuration.json').write_text(json.dumps({'task': 'video-to-video', 'model': model}))
    return VideoToVideoPreprocessor(folder)


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_the_full_networks_sizes(full_size, height, width):
    placement = full_size(np.zeros((1, height, width, 3), np.uint8))['video'].placement
    assert placement.canvas_height % 64 == 16
    assert placement.canvas_width % 64 == 0
    # The aspect ratio is the input's to the pixel (sides are even). The canvas is less than one grid step larger.
    assert abs(placement.height * width / height - placement.width) <= 1 + width / height
    assert 0 <= placement.canvas_height - placement.height < 64
    assert 0 <= placement.canvas_width - placement.width < 64
    assert 0.8 < placement.height * placement.width / (720 * 1280) < 1.25
    if (height, width) in ((720, 1280), (2160, 3840)):
        assert (placement.height, placement.width) == (placement.canvas_height, placement.canvas_width) == (720, 1280)
    stretched = full_size(np.zeros((1, height, width, 3), np.uint8), fit='stretch')['video'].placement
    assert (stretched.height, stretched.width) == (stretched.canvas_height, stretched.canvas_width) == (720, 1280)


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_aspect_and_borders_of_the_result(stage_2, height, width):
    frame = stage_2(textured(height, width), output_type='pt', steps=1, seed=1)[VIDEO][0]
    rows, columns = frame.shape[1:]
    assert abs(rows * width / height - columns) <= 1 + width / height
    assert 0.5 < rows * columns / 32**2 < 2
    for line in (frame[:, 0], frame[:, -1], frame[:, :, 0], frame[:, :, -1]):
        assert line.mean() > 0.3 * frame.mean()
        assert line.std() > 0.2 * frame.std()


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_what_surrounds_the_content_continues_it(stage_2, height, width):
    video = stage_2.preprocessor(textured(height, width))['video']
    (frame,) = video.frames()
    content = video.placement.cut(frame)
    assert frame.min() == content.min() > -0.4
    assert frame.max() == content.max()
    assert torch.equal(frame[:, 0, video.placement.left], content[:, 0, 0])
    assert torch.equal(frame[:, -1, video.placement.left + content.shape[2] - 1], content[:, -1, -1])


def shape_of(pipeline, source=CLIP, **arguments):
    return pipeline(source, output_type='np', steps=1, num_frames=1, **arguments)[VIDEO].shape[1:3]


def test_given_sizes(stage_2):
    """CLIP is 64 x 48."""
    assert shape_of(stage_2) == (32, 42)
    assert shape_of(stage_2, height=48) == (48, 64)
    assert shape_of(stage_2, width=32) == (24, 32)
    assert shape_of(stage_2, height=48, width=32) == (48, 32)
    assert shape_of(stage_2, fit='stretch') == (32, 32)
    assert shape_of(stage_2, fit='stretch', height=64) == (64, 32)
    assert latents_of(stage_2, steps=1, num_frames=1, width=32).shape == (1, 4, 1, 4, 4)


@pytest.mark.parametrize(
    ('size', 'nearest'),
    [
        ({'height': 100}, '96 and 112'),
        ({'width': 40}, '32 and 48'),
        ({'height': 32, 'width': 8}, "'width'.*16"),
        ({'height': 0}, "'height'"),
        ({'width': 32.0}, "'width'"),
        ({'fit': 'crop'}, "'fit'.*keep.*stretch"),
    ],
)
def test_illegal_sizes(stage_2, size, nearest):
    with pytest.raises(InputError, match=nearest):
        shape_of(stage_2, **size)


def test_illegal_sizes_of_a_deeper_network(full_size):
    for size, nearest in (({'height': 720 + 32}, '720 and 784'), ({'width': 1300}, '1280 and 1344')):
        with pytest.raises(InputError, match=nearest):
            full_size(CLIP, **size)


@pytest.mark.parametrize(('shape', 'expected'), [('1/1', (32, 42)), ('3/2', (24, 48)), ('1/2', (48, 32))])
def test_pixels_that_are_not_square(stage_2, tmp_path, shape, expected):
    path = record(tmp_path / 'a.mkv', gradient(1), sample_aspect_ratio=Fraction(shape))
    rows, columns = shape_of(stage_2, str(path))
    numerator, denominator = map(int, shape.split('/'))
    assert abs(columns / rows - 64 / 48 * numerator / denominator) < 0.05
    assert (rows, columns) == expected


def test_one_pixel_and_slivers(stage_2):
    assert shape_of(stage_2, np.full((1, 1, 1, 3), 99, np.uint8)) == (32, 32)
    for height, width in ((1, 40), (40, 1), (2, 2000)):
        rows, columns = shape_of(stage_2, np.full((1, height, width, 3), 99, np.uint8))
        assert (rows < columns) == (height < width)
