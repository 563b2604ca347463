"""Feature maps in bands of rows become what whole ones become."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import modelscope_i2v
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.networks.bands import Bands, band_rows
from modelscope_i2v.weights import load_weights
from tests.golden import AUTOENCODER_MICRO, difference, with_recipe_weights

PHOTOGRAPH = Path(__file__).parents[2] / 'examples' / 'cat.jpg'


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def cut(x, *heights):
    return Bands(list(torch.split(x, heights, dim=2)))


@pytest.mark.parametrize(
    ('rows', 'count', 'multiple', 'heights'),
    [
        (9, 1, 1, [9]),
        (9, 4, 1, [2, 2, 2, 3]),
        (9, 100, 1, [2, 2, 2, 3]),
        (3, 2, 1, [3]),
        (1, 2, 1, [1]),
        (83, 3, 8, [24, 24, 35]),
        (90, 9, 1, [10] * 9),
    ],
)
def test_heights_are_even_and_no_lower_than_a_halo(rows, count, multiple, heights):
    assert band_rows(rows, count, multiple=multiple) == heights


def test_norms_have_the_statistics_of_whole_images():
    """Also if the mean is far from 0 and differs from band to band, where sums of squares would cancel."""
    x = draw(2, 6, 9, 5) + 1000 + 50 * torch.arange(9)[:, None]
    norm = nn.GroupNorm(3, 6, eps=1e-6)
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(0))
    nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(1))
    exact = norm.double()(x.double())
    known = cut(x, 2, 4, 3).norm(norm.float())
    assert difference(known(x).double(), exact) < 1e-4
    assert difference(known(x[:, :, 4:5]), known(x)[:, :, 4:5]) < 1e-5


def test_layers_of_all_scales_see_as_far_as_they_reach():
    x, twice = draw(1, 4, 12, 6), nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    halving = nn.Conv2d(4, 4, 3, stride=2)

    def double(rows):
        return twice(twice[0](F.interpolate(rows, scale_factor=2.0)))

    def half(rows):
        return halving(F.pad(rows, (0, 1, 0, 1)))

    for layer in (twice, double, half):
        bands = cut(x, 2, 4, 2, 4)
        bands.apply(layer)
        assert difference(bands.joined(), layer(x)) < 1e-5


@pytest.mark.parametrize('bands', [2, 3, 100])
@torch.no_grad()
def test_autoencoders(bands):
    """Two images at once; the second height is no multiple of the downsampling factor."""
    autoencoder = with_recipe_weights(lambda: AutoencoderKL(**AUTOENCODER_MICRO), 'autoencoder_micro')
    z = draw(2, 4, 7, 4)
    assert difference(autoencoder.decode(z, bands), autoencoder.decode(z)) < 1e-5
    for height in (48, 53):
        x = draw(2, 3, height, 24)
        for banded, whole in zip(autoencoder.encode(x, bands), autoencoder.encode(x), strict=True):
            assert difference(banded, whole) < 1e-5


@torch.no_grad()
def test_a_photograph_with_the_embedded_autoencoder():
    """No value may be off by a level of 255. They are not even by a hundredth of one."""
    folder = ModelFolder.read(modelscope_i2v.embedded_model('image-to-video'))
    autoencoder = load_weights(folder.build_networks()['ckpt_autoencoder'], folder.files['ckpt_autoencoder'])
    picture = Image.open(PHOTOGRAPH).convert('RGB').resize((144, 96))
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
    mean = autoencoder.encode(x)[0]
    whole = autoencoder.decode(mean)
    assert (whole - x).abs().mean() < 0.1
    for bands in (4, 9):
        decoded = autoencoder.decode(autoencoder.encode(x, bands)[0], bands)
        assert 127.5 * difference(decoded, whole) < 0.01
