import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.media.images.conditioning import crop_square, pixel_values
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD
from tests.golden import DATA

CASES = ('tall_187x911', 'tiny_10x7', 'odd_641x479', 'gray_333x500', 'extreme_2001x3')


def prepared(image, fit='crop', side=224):
    return pixel_values(image, side, fit, IMAGE_MEAN, IMAGE_STD)


def direct_crop(image, side):
    """Enlarge the whole picture, then crop. ``crop_square`` must give the same result without that large picture."""
    scale = min(image.width / side, image.height / side)
    size = (round(image.width // scale), round(image.height // scale))
    resized = image.resize(size, resample=Image.Resampling.BOX)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return resized.crop((left, top, left + side, top + side))


@pytest.mark.parametrize('name', CASES)
def test_equals_reference(name):
    expected = torch.from_numpy(np.load(DATA / 'preprocess_image.npz')[f'{name}.out'])
    found = prepared(load_image(DATA / 'images' / f'{name}.png'))
    assert found.shape == (1, 3, 224, 224)
    assert (found[0] - expected).abs().max() < 1e-6


def test_any_size_equals_cropping_the_whole_enlarged_picture():
    random = np.random.default_rng(0)
    for width, height in [*random.integers(1, 160, (60, 2)), (64, 64), (65, 64), (640, 480), (63, 200)]:
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        assert np.array_equal(np.asarray(crop_square(image, 64)), np.asarray(direct_crop(image, 64))), (width, height)


def test_extreme_aspect_takes_little_memory():
    program = (
        'import resource, sys\n'
        'from PIL import Image\n'
        'from modelscope_i2v.media.images.conditioning import crop_square\n'
        'crop_square(Image.new("RGB", (20, 20)), 448)\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'crop_square(Image.new("RGB", (4001, 3)), 448)\n'
        'crop_square(Image.new("RGB", (3, 4001)), 448)\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * 1024, 'kilobytes; the whole enlarged picture would be about a million'


def test_contain_shows_the_whole_picture_over_the_mean_colour():
    image = Image.new('RGB', (300, 100), (255, 0, 0))
    out = prepared(image, 'contain', side=60)[0]
    red = (torch.tensor([1.0, 0.0, 0.0]) - torch.tensor(IMAGE_MEAN)) / torch.tensor(IMAGE_STD)
    assert torch.allclose(out[:, 21:39, :], red.view(3, 1, 1).expand(3, 18, 60), atol=1e-5)
    assert out[:, :20].abs().max() < 0.01
    assert out[:, 40:].abs().max() < 0.01


def test_contain_and_crop_agree_on_a_square_but_for_resampling():
    generator = np.random.default_rng(1)
    smooth = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((224, 224), Image.BICUBIC)
    assert (prepared(smooth, 'contain') - prepared(smooth, 'crop')).abs().mean() < 0.02
