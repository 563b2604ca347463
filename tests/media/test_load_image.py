"""Files, addresses, encoded text and PIL images, good and bad."""

import base64
import http.server
import io
import os
import struct
import threading
import urllib.parse
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.download import download
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.media.images.size import MAX_PIXELS

PIXELS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [40, 50, 60], [70, 80, 90]]], np.uint8)


def encoded(image, kind='PNG', **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def png():
    return encoded(Image.fromarray(PIXELS))


@pytest.fixture
def png_path(tmp_path, png):
    path = tmp_path / 'a photo %20 ü.png'
    path.write_bytes(png)
    return path


def pixels_of(image):
    assert isinstance(image, Image.Image)
    assert image.mode == 'RGB'
    return np.asarray(image)


def test_paths_and_file_urls_give_the_same_pixels(png_path):
    for source in (str(png_path), png_path, png_path.as_uri(), 'file://localhost' + urllib.parse.quote(str(png_path))):
        np.testing.assert_array_equal(pixels_of(load_image(source)), PIXELS)


def test_bytes_and_text_give_the_same_pixels(png):
    text = base64.b64encode(png).decode()
    folded = '\n'.join(text[i : i + 20] for i in range(0, len(text), 20))
    uris = [
        f'data:image/png;base64,{text}',
        f'DATA:;base64,{urllib.parse.quote(text)}',
        'data:image/png,' + urllib.parse.quote_from_bytes(png),
    ]
    for source in (png, bytearray(png), memoryview(png), text, folded, *uris):
        np.testing.assert_array_equal(pixels_of(load_image(source)), PIXELS)


def test_a_file_goes_before_base64(tmp_path, monkeypatch, png):
    monkeypatch.chdir(tmp_path)
    name = 'abcd'
    Path(name).write_bytes(png)
    assert load_image(name).size == (3, 2)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_exif_orientation_is_applied(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.new('RGB', (32, 16), 'white')
    upright.paste('black', (0, 0, 16, 16))
    data = encoded(upright, kind, exif=exif)
    path = tmp_path / 'turned'
    path.write_bytes(data)
    with Image.open(path) as opened:
        for source in (path, data, opened):
            turned = pixels_of(load_image(source))
            assert turned.shape == (32, 16, 3)
            # Orientation 6 is a quarter turn clockwise: the left side is now at the top.
            assert turned[4, 8].max() < 40
            assert turned[28, 8].min() > 215
        # Pillow itself rotates a TIFF on loading.
        assert opened.size == ((16, 32) if kind == 'TIFF' else (32, 16))


@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
def test_a_damaged_exif_block_does_not_spoil_the_image():
    data = encoded(Image.fromarray(PIXELS), 'JPEG', exif=b'Exif\0\0II*\0\xff\xff\xff\x7fgarbage')
    assert load_image(data).size == (3, 2)


def test_alpha_is_dropped_without_a_background():
    rgba = np.dstack([PIXELS, np.zeros((2, 3), np.uint8)])
    image = Image.fromarray(rgba)
    np.testing.assert_array_equal(pixels_of(load_image(image, None)), PIXELS)
    np.testing.assert_array_equal(pixels_of(load_image(encoded(image), None)), PIXELS)


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'CMYK', 'YCbCr', 'HSV', 'LAB', 'I'])
def test_every_mode_of_8_bits_is_what_pillow_converts_it_to(mode):
    image = Image.fromarray(PIXELS)
    image = (image.convert('L') if mode == 'I' else image).convert(mode)
    assert image.mode == mode
    np.testing.assert_array_equal(pixels_of(load_image(image)), np.asarray(image.convert('RGB')))


def test_the_first_frame_of_several_is_taken(tmp_path):
    red, blue = Image.new('RGB', (4, 4), 'red'), Image.new('RGB', (4, 4), 'blue')
    red.save(tmp_path / 'two.gif', save_all=True, append_images=[blue])
    assert tuple(pixels_of(load_image(tmp_path / 'two.gif'))[0, 0]) == (255, 0, 0)


def test_the_callers_pil_image_is_not_changed():
    image = Image.fromarray(PIXELS)
    result = load_image(image)
    assert result is not image
    result.putpixel((0, 0), (1, 2, 3))
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


def png_header(width, height):
    """A PNG that has this size only according to its header."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(b'\0')) + chunk(b'IEND', b'')


@pytest.mark.parametrize('pillow_limit', ['default', None, 1000])
def test_too_many_pixels(monkeypatch, pillow_limit):
    if pillow_limit != 'default':
        monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', pillow_limit)
    with pytest.raises(InputError, match=r'pixels') as caught:
        load_image(png_header(20000, 20000))
    assert '400000000' in str(caught.value).replace(',', '')
    if pillow_limit is None:
        assert f'{MAX_PIXELS:,}' in str(caught.value)


@pytest.mark.filterwarnings('error')
def test_the_size_at_which_pillow_warns_is_told_when_warnings_are_errors():
    with pytest.raises(InputError, match='100000000 pixels'):
        load_image(png_header(10000, 10000))


def bad_files(folder):
    good = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    jpeg = encoded(Image.open(io.BytesIO(good)), 'JPEG')
    corrupt = bytearray(good)
    corrupt[200:260] = bytes(60)
    contents = {
        'empty.png': b'',
        'text.png': b'this is not an image\n' * 10,
        'cut.png': good[: len(good) // 2],
        'cut.jpg': jpeg[: len(jpeg) // 2],
        'stub.png': good[:20],
        'corrupt.png': bytes(corrupt),
        'program.eps': encoded(Image.new('RGB', (4, 4)), 'EPS'),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return contents


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('empty.png', 'zero bytes'),
        ('text.png', 'not an image'),
        ('cut.png', 'damaged or cut off'),
        ('cut.jpg', 'damaged or cut off'),
        ('stub.png', 'not an image|damaged or cut off'),
        ('corrupt.png', 'damaged or cut off'),
        ('program.eps', 'PostScript'),
    ],
)
def test_bad_files(tmp_path, name, told):
    data = bad_files(tmp_path)[name]
    with pytest.raises(InputError, match=told) as caught:
        load_image(tmp_path / name)
    assert name in str(caught.value)
    with pytest.raises(InputError, match=told):
        load_image(data)


def test_bad_places(tmp_path, png_path):
    os.mkfifo(tmp_path / 'pipe')
    for source, told in [
        (tmp_path / 'nowhere.png', 'does not exist'),
        (str(tmp_path / 'nowhere.png'), 'does not exist'),
        ((tmp_path / 'nowhere.png').as_uri(), 'does not exist'),
        (tmp_path, 'is a folder'),
        (tmp_path / 'pipe', 'not a regular file'),
        (png_path / 'below', 'cannot be opened'),
        ('x' * 100_000, r'100,000 characters'),
        ('nul\0byte.png', 'cannot be opened'),
        ('', 'is empty'),
        ('s3://bucket/image.png', 'unknown scheme'),
        ('file://host/image.png', "host 'host'"),
        ('data:image/png;base64', 'no comma'),
        ('data:image/png;base64,###', 'valid base64'),
        ('data:image/png;base64,', 'zero bytes'),
        (base64.b64encode(b'no image in here').decode(), 'does not exist'),
    ]:
        with pytest.raises(InputError, match=told) as caught:
            load_image(source)
        assert len(str(caught.value)) < 600


def test_base64_of_a_damaged_image_is_told_as_such(png):
    with pytest.raises(InputError, match=r'as base64 .*cut off'):
        load_image(base64.b64encode(png[:-30]).decode())


@pytest.mark.parametrize('source', [None, 5, 3.0, [1, 2], {'image': 'a.png'}, object()])
def test_unsupported_kinds_are_told_what_is_accepted(source):
    with pytest.raises(InputError, match=r'Give a path, .*PIL image') as caught:
        load_image(source)
    assert type(source).__name__ in str(caught.value)


def test_pil_images_without_pixels_or_closed(png):
    with pytest.raises(InputError, match='0 x 5'):
        load_image(Image.new('RGB', (0, 5)))
    closed = Image.open(io.BytesIO(png))
    closed.close()
    with pytest.raises(InputError, match='PIL image'):
        load_image(closed)


@pytest.fixture
def server(png):
    """A real web server on this machine with one good and several bad responses."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition('?')[0]
            if path == '/moved.png':
                self.send_response(302)
                self.send_header('Location', '/a%20b.png')
                self.end_headers()
                return
            if path == '/missing.png':
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header('Content-Length', str(len(png) + (path == '/cut.png')))
            self.end_headers()
            if path == '/stuck.png':
                release.wait(10)
            self.wfile.write(b'<html></html>'.ljust(len(png)) if path == '/page.png' else png)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        yield f'http://127.0.0.1:{web.server_port}'
        release.set()
        web.shutdown()
        thread.join()


def test_urls(server):
    for name in ('a%20b.png', 'a b.png', 'ü.png?size=1&x=%20', 'moved.png'):
        np.testing.assert_array_equal(pixels_of(load_image(f'{server}/{name}')), PIXELS)


def test_bad_urls(server):
    for url, told in [
        (f'{server}/missing.png', '404'),
        (f'{server}/cut.png', 'cut off'),
        (f'{server}/page.png', 'not an image'),
        ('http://127.0.0.1:1/a.png', 'Cannot download'),
        ('http://[bad/a.png', 'Cannot download'),
        ('https://', 'Cannot download'),
    ]:
        with pytest.raises(InputError, match=told):
            load_image(url)


def test_downloads_are_limited_in_size_and_time(server):
    with pytest.raises(InputError, match='larger than the 10 bytes'):
        download(f'{server}/a.png', limit=10)
    with pytest.raises(InputError, match='timed out'):
        download(f'{server}/stuck.png', timeout=0.1)
