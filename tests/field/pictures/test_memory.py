"""Large pictures: memory grows by at most 1 GB, whatever the file, as the kernel measures it."""

import io
import json
import struct
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media import load_image
from modelscope_i2v.media.images import size
from tests.field.documented import documented
from tests.field.pictures.files import encoded, png_chunk

LIMIT = 10**9
#: Loads a file and prints what became of it, and by how many bytes resident memory grew at most.
MEASURE = """
import json, sys, warnings
warnings.simplefilter('ignore')
import numpy, PIL.ImageCms
from modelscope_i2v.errors import InputError
from modelscope_i2v import media

def memory(name):
    lines = open('/proc/self/status').read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

media.load_image(sys.argv[2])
before = memory('VmRSS')
try:
    image = getattr(media, sys.argv[3])(sys.argv[1])
    found = {'size': image.size, 'pixel': image.getpixel((1, 1))}
except InputError as error:
    found = {'refused': str(error)}
print(json.dumps({**found, 'grew': memory('VmHWM') - before}))
"""


def measured(path, load='load_image'):
    small = path.with_name('small.png')
    Image.new('RGB', (8, 8)).save(small)
    done = subprocess.run(
        [sys.executable, '-c', MEASURE, str(path), str(small), load], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found['grew'] < LIMIT, found
    return found


def flat(mode, width, height, colour):
    return Image.new(mode, (width, height), colour)


def bits(*fields):
    """``(value, number of bits)``, the lowest bit first."""
    value = place = 0
    for field, count in fields:
        value |= field << place
        place += count
    return value.to_bytes(-(-place // 8), 'little')


@documented(
    'picture that takes more than 1 GB to read: WebP of more than 46 million pixels, JPEG 2000, AVIF, HEIC or JPEG XL '
    'of similar size, anything of more than 178,956,970',
    'refused; the message says how many pixels fit',
)
def chunk(kind, content):
    return kind + struct.pack('<I', len(content)) + content + b'\0' * (len(content) % 2)


def black_webp():
    """The chunk of 16000 x 11000 black pixels."""
    # VP8L: size, no alpha, version 0, no transforms, no cache, no groups, five codes of one symbol each.
    head = [(0x2F, 8), (16000 - 1, 14), (11000 - 1, 14), (0, 1), (0, 3), (0, 3)]
    return chunk(b'VP8L', bits(*head, *[(0b0001, 4)] * 5))


def riff(*chunks):
    content = b'WEBP' + b''.join(chunks)
    return b'RIFF' + struct.pack('<I', len(content)) + content


def test_a_webp_of_28_bytes_is_refused(tmp_path):
    path = tmp_path / 'large.webp'
    path.write_bytes(riff(black_webp()))
    assert path.stat().st_size == 28
    found = measured(path)
    assert '176,000,000 pixels (16000 x 11000)' in found['refused']
    assert 'at most 46,000,000 pixels' in found['refused']


def test_an_animated_webp_of_the_same_size_is_refused(tmp_path):
    size_fields = [(16000 - 1, 24), (11000 - 1, 24)]
    frame = chunk(b'ANMF', bits((0, 48), *size_fields, (100, 24), (0, 8)) + black_webp())
    canvas = chunk(b'VP8X', bits((0b10, 8), (0, 24), *size_fields))
    path = tmp_path / 'large.webp'
    path.write_bytes(riff(canvas, chunk(b'ANIM', bytes(6)), frame, frame))
    with Image.open(path) as opened:
        assert (opened.n_frames, opened.size) == (2, (16000, 11000))
    assert 'refused' in measured(path, load='open_video')


@pytest.mark.parametrize(
    ('mode', 'colour', 'right'),
    [
        pytest.param('RGB', (10, 20, 30), [10, 20, 30], marks=pytest.mark.slow),
        pytest.param('RGBA', (10, 20, 30, 0), [255, 255, 255], marks=pytest.mark.slow),
        pytest.param('I;16', 32896, [128, 128, 128], marks=pytest.mark.slow),
        ('P', 1, [0, 0, 1]),
    ],
)
def test_a_png_of_the_most_pixels_is_reduced(tmp_path, mode, colour, right):
    image = flat(mode, 13000, 13700, colour)
    if mode == 'P':
        image.putpalette([0, 0, 0, 0, 0, 1])
    image.save(tmp_path / 'large.png', compress_level=1)
    del image
    found = measured(tmp_path / 'large.png')
    assert (found['size'], found['pixel']) == ([6500, 6850], right)


@pytest.mark.parametrize('options', [{}, {'progressive': True, 'subsampling': 0}], ids=['baseline', 'progressive'])
def test_a_jpeg_of_100_megapixels_is_reduced(tmp_path, options):
    exif = Image.Exif()
    exif[0x0112] = 6
    flat('RGB', 10000, 10001, (200, 100, 50)).save(tmp_path / 'large.jpg', exif=exif, **options)
    found = measured(tmp_path / 'large.jpg')
    assert found['size'] == [5001, 5000]
    assert np.abs(np.subtract(found['pixel'], [200, 100, 50])).max() <= 2


@documented('picture of more than 67 million pixels', 'reduced by a whole factor, JPEG while it is decoded')
def test_a_png_of_100_megapixels_is_reduced(tmp_path):
    flat('RGB', 10000, 10001, (200, 100, 50)).save(tmp_path / 'large.png', compress_level=1)
    found = measured(tmp_path / 'large.png')
    assert (found['size'], found['pixel']) == ([5000, 5001], [200, 100, 50])


@pytest.mark.parametrize(
    ('kind', 'pixels', 'options'),
    [
        ('WEBP', 45_000_000, {'lossless': True, 'quality': 0}),
        ('JPEG2000', 36_000_000, {}),
        ('AVIF', 50_000_000, {'speed': 10}),
        ('HEIF', 48_000_000, {}),  # as large as those of telephones
        ('TIFF', 64_000_000, {'compression': 'tiff_deflate', 'tiffinfo': {278: 8000}}),
        ('GIF', 170_000_000, {}),
        ('BMP', 64_000_000, {}),
        ('SGI', 140_000_000, {}),
    ],
)
@pytest.mark.slow
def test_the_largest_picture_of_each_format(tmp_path, kind, pixels, options):
    side = int(pixels**0.5) // 8 * 8
    if kind == 'HEIF':
        pillow_heif.register_heif_opener()
    flat('P' if kind == 'GIF' else 'RGB', side, side, 1).save(tmp_path / 'large', kind, **options)
    found = measured(tmp_path / 'large')
    assert found['size'] == [side // size.reduction(side, side)] * 2


@pytest.mark.slow
def test_a_large_jpeg_2000_is_reduced_while_it_is_decoded(tmp_path):
    flat('RGB', 10000, 10000, (200, 100, 50)).save(tmp_path / 'large', 'JPEG2000')
    assert measured(tmp_path / 'large')['size'] == [5000, 5000]


def test_a_large_jpeg_xl_is_refused_before_it_is_decoded(tmp_path):
    # The header of 16384 x 10000 pixels: not small, both sides in 18 bits, no ratio. No pixels follow.
    data = bits((0, 1), (2, 2), (10000 - 1, 18), (0, 3), (2, 2), (16384 - 1, 18), (0, 20))
    path = tmp_path / 'large.jxl'
    for content in (b'\xff\x0a' + data, b'\0\0\0\x0cJXL \r\n\x87\n' + b'\0\0\0\x16jxlc\xff\x0a' + data + b'\0' * 4):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r'163,840,000 pixels \(16384 x 10000\).* at most 57,500,000 pixels'):
            load_image(path)


@pytest.mark.parametrize(('width', 'height'), [(64, 48), (8, 8), (256, 256), (300, 200), (1000, 3), (2049, 5)])
def test_the_size_in_a_jpeg_xl_header_is_the_pictures(width, height):
    import pillow_jxl  # noqa: F401

    from modelscope_i2v.media.images.jpeg_xl import jpeg_xl_size

    exif = Image.Exif()
    exif[0x0112] = 1
    for options in ({}, {'use_container': True}, {'exif': exif.tobytes()}):
        data = encoded(Image.new('RGB', (width, height)), 'JXL', **options)
        assert jpeg_xl_size(io.BytesIO(data)) == (width, height)


@pytest.mark.parametrize('large', [500, 3000])
def test_a_reduced_picture_is_the_mean_of_its_blocks(monkeypatch, large):
    monkeypatch.setattr(size, 'LARGE', large)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    factor = size.reduction(60, 48)
    blocks = pixels.reshape(48 // factor, factor, 60 // factor, factor, 3).mean(axis=(1, 3))
    found = np.asarray(load_image(encoded(Image.fromarray(pixels))))
    assert np.abs(found - blocks).max() <= 0.6


def test_hidden_colours_do_not_bleed_into_a_reduced_picture(monkeypatch):
    monkeypatch.setattr(size, 'LARGE', 100)
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[::2, :, 0] = 255  # red, but transparent
    pixels[1::2, :] = 255
    assert (np.asarray(load_image(encoded(Image.fromarray(pixels)))) == 255).all()


def test_a_png_that_lies_about_its_size_is_damaged():
    header = b'\0\0\x20\0\0\0\x20\0\x08\x02\0\0\0'
    data = b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', header) + png_chunk(b'IEND', b'')
    with pytest.raises(InputError, match='damaged or cut off'):
        load_image(data)
