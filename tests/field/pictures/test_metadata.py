"""What comes with the pixels: orientation, and metadata that must not be applied twice."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from modelscope_i2v.media import load_image
from modelscope_i2v.media.images import size
from tests.field.pictures.files import DISPLAY_P3, encoded, image, photo


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('large', [2**26, 500, 7])
def test_every_orientation_is_what_pillow_makes_of_it(monkeypatch, orientation, large):
    monkeypatch.setattr(size, 'LARGE', large)  # also of a picture that is reduced
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(photo()[:, :61]), exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        right = ImageOps.exif_transpose(opened.reduce(size.reduction(*opened.size)))
    np.testing.assert_array_equal(np.asarray(load_image(data)), np.asarray(right))


@pytest.mark.parametrize('rows', [1, 7, 48, 1000])
def test_bands_do_not_show(monkeypatch, rows):
    from modelscope_i2v.media.images import bands

    whole = np.asarray(load_image(encoded(image(), icc_profile=DISPLAY_P3)))
    monkeypatch.setattr(bands, '_BAND_PIXELS', rows * 64)
    np.testing.assert_array_equal(np.asarray(load_image(encoded(image(), icc_profile=DISPLAY_P3))), whole)


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
def test_a_loaded_picture_is_left_alone_when_it_is_loaded_again(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    once = load_image(encoded(image(), kind, icc_profile=DISPLAY_P3, exif=exif))
    assert once.info == {}
    np.testing.assert_array_equal(np.asarray(load_image(once)), np.asarray(once))


def test_a_transparent_colour_of_the_callers_picture_stays():
    picture = image().quantize(16)
    picture.info['transparency'] = 3
    load_image(picture)
    assert picture.info['transparency'] == 3
    assert picture.mode == 'P'
